import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SessionGateway,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const server = new McpServer(
	{ name: 'bell', version: '1.0.0', description: 'A bell that every client hears' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

server.tool({ name: 'ring', description: 'Ring the bell' }, () => {
	server.changed('tools');
	return { content: [{ type: 'text', text: 'Ding!' }] };
});

const info = new KVInfoSessionManager('TMCP_SESSION_INFO');
const streams = new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', { info });
const transport = new HttpTransport(server, {
	path: '/mcp',
	sessionManager: { streams, info },
	subscriptionManager: new DurableObjectSubscriptionManager('TMCP_DURABLE_OBJECT'),
});
const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', { path: '/mcp', info });

export default {
	async fetch(request) {
		const response = await gateway.respond(request);
		return response ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
