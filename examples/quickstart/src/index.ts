import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { server } from './server.ts';

// Clients that initialise have a session each, with a stream that stays open. Those of 2026-07-28 have none, and
// `subscriptions/listen` for what they want to hear of.
const sessions = new DurableObjectSessions();
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

// The runtime finds the class of the Durable Object among the exports of the Worker.
export { SyncLayer } from '@tmcp/session-manager-durable-objects';

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
