declare namespace Cloudflare {
	interface Env {
		TMCP_DURABLE_OBJECT: DurableObjectNamespace<import('../src/index.ts').SyncLayer>;
		TMCP_SESSION_INFO: KVNamespace;
	}
	interface GlobalProps {
		mainModule: typeof import('./worker/worker.ts');
	}
}
