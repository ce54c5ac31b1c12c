import { HttpTransport } from '@tmcp/transport-http';
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SessionGateway,
	SessionHomes,
	SyncLayer,
} from '@tmcp/session-manager-durable-objects';
import type { McpServer } from 'tmcp';

export { SyncLayer };
declare const server: McpServer;

// #region homes
const homes = new SessionHomes('TMCP_DURABLE_OBJECT', { homes: 4 });
const info = new KVInfoSessionManager('TMCP_SESSION_INFO');
const transport = new HttpTransport(server, {
	path: '/mcp',
	sessionManager: { streams: new DurableObjectStreamSessionManager(homes), info },
	subscriptionManager: new DurableObjectSubscriptionManager(homes),
});
const gateway = new SessionGateway(transport, homes, { path: '/mcp', info });
// #endregion homes

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
