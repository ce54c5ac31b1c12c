import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SessionGateway,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { server } from './server.ts';

const info = new KVInfoSessionManager('TMCP_SESSION_INFO');
const transport = new HttpTransport(server, {
	path: '/mcp',
	// Clients that initialise: a session each, with a stream that stays open.
	sessionManager: {
		streams: new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', { info }),
		info,
	},
	// Clients of 2026-07-28: no session, and `subscriptions/listen` for what they want to hear of.
	subscriptionManager: new DurableObjectSubscriptionManager('TMCP_DURABLE_OBJECT'),
});

// In front of the transport: 404 for a session that is unknown, streams that go on where they broke off, keep-alives.
const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', { info });

// The runtime finds the class of the Durable Object among the exports of the Worker.
export { SyncLayer } from '@tmcp/session-manager-durable-objects';

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
