/** A server for clients of both kinds that has nothing to say but its keep-alive, which is short. */
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	withKeepAlive,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { McpServer } from 'tmcp';

const KEEP_ALIVE_MS = 500;

const server = new McpServer(
	{ name: 'keep-alive', version: '1.0.0' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);
const transport = new HttpTransport(server, {
	path: '/mcp',
	sessionManager: {
		streams: new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', {
			keepAlive: KEEP_ALIVE_MS,
		}),
		info: new KVInfoSessionManager('TMCP_SESSION_INFO'),
	},
	subscriptionManager: new DurableObjectSubscriptionManager('TMCP_DURABLE_OBJECT'),
});

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

export default {
	async fetch(request) {
		const response = await transport.respond(request);
		// The stream of a session, a GET, gets its keep-alives from its manager.
		if (response && request.method === 'GET') return response;
		if (response) return withKeepAlive(response, { keepAlive: KEEP_ALIVE_MS });
		return Response.json(await env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT').stats());
	},
} satisfies ExportedHandler;
