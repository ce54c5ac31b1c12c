/** What `wrangler.jsonc` binds. In a project of your own `npx wrangler types` writes this. */
declare namespace Cloudflare {
	interface Env {
		TMCP_DURABLE_OBJECT: DurableObjectNamespace<
			import('@tmcp/session-manager-durable-objects').SyncLayer
		>;
		MEMO: KVNamespace;
	}
}
