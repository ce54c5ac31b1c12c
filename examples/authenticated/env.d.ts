/** What `bearer.jsonc` and `oauth.jsonc` set. In a project of your own `npx wrangler types` writes this. */
declare namespace Cloudflare {
	interface Env {
		/** Users, by their tokens. */
		USERS: Record<string, string>;
	}
}
