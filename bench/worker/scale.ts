/** The Worker of `npm run scale`: the composition of the README with several homes, and another Worker that sends. */
import { env } from 'cloudflare:workers';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import { SyncLayerClient } from '../../src/client.ts';
import { DurableObjectSessions } from '../../src/index.ts';

export { SyncLayer } from '../../src/index.ts';

const server = new McpServer(
	{ name: 'scale', version: '1.0.0', description: 'A server with many clients' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);
const sessions = new DurableObjectSessions({ homes: Number(Reflect.get(env, 'HOMES')) });
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));
const clients = new SyncLayerClient('TMCP_DURABLE_OBJECT');

export default {
	async fetch(request) {
		if (new URL(request.url).pathname === '/send') {
			return Response.json(await clients.broadcast(undefined, await request.text()));
		}
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
