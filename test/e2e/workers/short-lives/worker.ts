/** A server behind a gateway, whose streams live for a second at most. */
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SessionGateway,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { McpServer } from 'tmcp';

const MAX_LIFETIME_MS = 1_000;

const server = new McpServer(
	{ name: 'short-lives', version: '1.0.0' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true }, logging: {} } },
);
const info = new KVInfoSessionManager('TMCP_SESSION_INFO');
const transport = new HttpTransport(server, {
	path: '/mcp',
	sessionManager: {
		streams: new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', {
			info,
			maxLifetime: MAX_LIFETIME_MS,
		}),
		info,
	},
	subscriptionManager: new DurableObjectSubscriptionManager('TMCP_DURABLE_OBJECT', {
		maxLifetime: MAX_LIFETIME_MS,
	}),
});
const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', { info, keepAlive: 200 });

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

export default {
	async fetch(request) {
		const response = await gateway.respond(request);
		if (response) return response;
		const object = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
		if (request.method === 'POST') {
			const params = { level: 'info', data: await request.text() };
			const message = { jsonrpc: '2.0', method: 'notifications/message', params };
			await object.broadcast(undefined, `event: message\ndata: ${JSON.stringify(message)}\n\n`);
			await object.publish([{ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }]);
		}
		return Response.json(await object.stats());
	},
} satisfies ExportedHandler;
