/** A server for listeners that has nothing to say but its keep-alive, which is short. */
import {
	DurableObjectSubscriptionManager,
	withKeepAlive,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { McpServer } from 'tmcp';

const server = new McpServer(
	{ name: 'listen', version: '1.0.0' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);
const transport = new HttpTransport(server, {
	path: '/mcp',
	subscriptionManager: new DurableObjectSubscriptionManager('TMCP_DURABLE_OBJECT'),
});

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

export default {
	async fetch(request) {
		const response = await transport.respond(request);
		if (response) return withKeepAlive(response, { keepAlive: 500 });
		return Response.json(await env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT').stats());
	},
} satisfies ExportedHandler;
