/** What `wrangler.jsonc` and `kv.jsonc` set. In a project of your own `npx wrangler types` writes this. */
declare namespace Cloudflare {
	interface Env {
		INFO: 'kv' | 'object';
		STATE_KEY: string;
	}
}
