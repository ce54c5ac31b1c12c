import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { SessionInspector } from '@tmcp/session-manager-durable-objects/inspector';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

/** Yours: it verifies who makes the request, for example the token of Cloudflare Access. */
declare function isOperator(request: Request): Promise<boolean>;

const server = new McpServer(
	{ name: 'server', version: '1.0.0', description: 'A server' },
	{ adapter: undefined, capabilities: {} },
);
const sessions = new DurableObjectSessions();
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

// #region inspector
const inspector = new SessionInspector(sessions.homes, {
	authorise: (request) => isOperator(request),
});

export default {
	async fetch(request) {
		const response = (await inspector.respond(request)) ?? (await gateway.respond(request));
		return response ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
// #endregion inspector
