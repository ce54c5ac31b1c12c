import { DurableObjectSessions, KVInfoSessionManager } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const server = new McpServer(
	{ name: 'bell', version: '1.0.0' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

// #region fallback
const sessions = new DurableObjectSessions({
	fallback: new KVInfoSessionManager('TMCP_SESSION_INFO'),
});
// #endregion fallback
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
