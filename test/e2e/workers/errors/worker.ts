/** Asks the quickstart's object for what it refuses, and tells how the error arrives over RPC, and which events it heard. */
import { SessionManagerError, type SyncLayer } from '@tmcp/session-manager-durable-objects';
import { SyncLayerClient } from '@tmcp/session-manager-durable-objects/client';
import { subscribe } from '@tmcp/session-manager-durable-objects/diagnostics';

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
}

const clients = new SyncLayerClient('TMCP_DURABLE_OBJECT');
const events: string[] = [];
subscribe(({ name }) => events.push(name));

export default {
	async fetch(_, env) {
		const flags = Cloudflare.compatibilityFlags;
		await clients.broadcast(undefined, 'data: "hello"\n\n');
		try {
			await env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT').has('not a session id');
		} catch (error) {
			const code = Reflect.get(Object(error), 'code');
			const restored = SessionManagerError.from(error)?.code;
			return Response.json({ flags, code, restored, events });
		}
		return new Response('It was not refused.', { status: 500 });
	},
} satisfies ExportedHandler<Env>;
