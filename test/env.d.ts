declare namespace Cloudflare {
	interface Env {
		TMCP_DURABLE_OBJECT: DurableObjectNamespace<import('../src/index.ts').SyncLayer>;
		SMALL_SYNC_LAYER: DurableObjectNamespace<import('./worker/worker.ts').SmallSyncLayer>;
		LEGACY_SYNC_LAYER: DurableObjectNamespace<import('./worker/worker.ts').LegacySyncLayer>;
		TMCP_SESSION_INFO: KVNamespace;
	}
	interface GlobalProps {
		mainModule: typeof import('./worker/worker.ts');
	}
}
