/** What the two configurations bind. In a project of your own `npx wrangler types` writes this. */
declare namespace Cloudflare {
	interface Env {
		TMCP_DURABLE_OBJECT: DurableObjectNamespace<
			import('@tmcp/session-manager-durable-objects').SyncLayer
		>;
		EVENTS: AnalyticsEngineDataset;
		OTLP_ENDPOINT: string;
	}
}
