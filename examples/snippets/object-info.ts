import {
	DurableObjectInfoSessionManager,
	DurableObjectStreamSessionManager,
	SessionGateway,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const server = new McpServer(
	{ name: 'bell', version: '1.0.0', description: 'A bell that every client hears' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

// #region info
const info = new DurableObjectInfoSessionManager('TMCP_DURABLE_OBJECT');
const streams = new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT');
const transport = new HttpTransport(server, { path: '/mcp', sessionManager: info.with(streams) });
const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', { path: '/mcp', info });
// #endregion info

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
