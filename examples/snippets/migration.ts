import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

const server = new McpServer(
	{ name: 'bell', version: '1.0.0' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

// #region class
export { SyncLayer as SqliteSyncLayer } from '@tmcp/session-manager-durable-objects';
// #endregion class

// #region worker
const sessions = new DurableObjectSessions();
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
// #endregion worker
