/** A server that has nothing to say but its keep-alive, which is short. */
import {
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

const server = new McpServer(
	{ name: 'keep-alive', version: '1.0.0' },
	{ adapter: undefined, capabilities: {} },
);
const transport = new HttpTransport(server, {
	path: '/mcp',
	sessionManager: {
		streams: new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', { keepAlive: 500 }),
		info: new KVInfoSessionManager('TMCP_SESSION_INFO'),
	},
});

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

export default {
	async fetch(request) {
		return (await transport.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
