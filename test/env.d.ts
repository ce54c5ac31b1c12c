declare namespace Cloudflare {
	interface Env {
		TMCP_DURABLE_OBJECT: DurableObjectNamespace<import('../src/index.ts').SyncLayer>;
		SMALL_SYNC_LAYER: DurableObjectNamespace<import('./support/worker/worker.ts').SmallSyncLayer>;
		LEGACY_SYNC_LAYER: DurableObjectNamespace<import('./support/worker/worker.ts').LegacySyncLayer>;
		SHORT_LOG: DurableObjectNamespace<import('./support/worker/worker.ts').ShortLogSyncLayer>;
		FORGETFUL: DurableObjectNamespace<import('./support/worker/worker.ts').ForgetfulSyncLayer>;
		SHORT_SESSIONS: DurableObjectNamespace<
			import('./support/worker/worker.ts').ShortSessionsSyncLayer
		>;
		LIMITED: DurableObjectNamespace<import('./support/worker/worker.ts').LimitedSyncLayer>;
		NO_LOG: DurableObjectNamespace<import('./support/worker/worker.ts').NoLogSyncLayer>;
		TMCP_SESSION_INFO: KVNamespace;
		/** Of the existing package. */
		PEER_OBJECT: DurableObjectNamespace<import('peer').SyncLayer>;
		PEER_SESSION_INFO: KVNamespace;
		CALLS: RateLimit;
		SIGNING_KEY: string;
		SHORT_KEY: string;
	}
	interface GlobalProps {
		mainModule: typeof import('./support/worker/worker.ts');
	}
}
