/** Asks the quickstart's object for what it refuses, and tells how the error arrives over RPC. */
import { SessionManagerError, type SyncLayer } from '@tmcp/session-manager-durable-objects';

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
}

export default {
	async fetch(_, env) {
		const flags = Cloudflare.compatibilityFlags;
		try {
			await env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT').has('not a session id');
		} catch (error) {
			const code = Reflect.get(Object(error), 'code');
			return Response.json({ flags, code, restored: SessionManagerError.from(error)?.code });
		}
		return new Response('It was not refused.', { status: 500 });
	},
} satisfies ExportedHandler<Env>;
