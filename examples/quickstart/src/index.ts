import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SessionGateway,
	withKeepAlive,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { McpServer } from 'tmcp';
import { resource, tool } from 'tmcp/utils';
import * as v from 'valibot';

const MEMO_URI = 'memo://board';

const server = new McpServer(
	{ name: 'quickstart', version: '1.0.0' },
	{
		adapter: new ValibotJsonSchemaAdapter(),
		capabilities: {
			tools: { listChanged: true },
			resources: { subscribe: true, listChanged: true },
		},
	},
);

server.tool(
	{
		name: 'greet',
		description: 'Greets somebody.',
		schema: v.object({ name: v.string() }),
	},
	({ name }) => tool.text(`Hello, ${name}!`),
);

// A Worker instance remembers nothing for the next request, so the memo lives in KV.
server.resource(
	{ name: 'memo', description: 'The memo that all clients share.', uri: MEMO_URI },
	async (uri) => resource.text(uri, (await env.MEMO.get('board')) ?? 'Nothing yet.', 'text/plain'),
);

server.tool(
	{
		name: 'write_memo',
		description: 'Replaces the memo and tells each client that subscribed to it.',
		schema: v.object({ text: v.string() }),
	},
	async ({ text }) => {
		await env.MEMO.put('board', text);
		server.changed('resource', MEMO_URI);
		return tool.text('The memo is written.');
	},
);

server.tool(
	{
		name: 'announce_tools',
		description: 'Tells every client that the list of tools has changed.',
	},
	() => {
		server.changed('tools');
		return tool.text('Every client is told.');
	},
);

const info = new KVInfoSessionManager('TMCP_SESSION_INFO');
const transport = new HttpTransport(server, {
	path: '/mcp',
	// Clients up to 2025-11-25: a session each, with a stream that stays open.
	sessionManager: {
		streams: new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', { info }),
		info,
	},
	// Clients of 2026-07-28: no session, and `subscriptions/listen` for what they want to hear of.
	subscriptionManager: new DurableObjectSubscriptionManager('TMCP_DURABLE_OBJECT'),
});

// In front of the transport: 404 for a session that is unknown, and streams that go on where they broke off.
const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', { info });

// The runtime finds the class of the Durable Object among the exports of the Worker.
export { SyncLayer } from '@tmcp/session-manager-durable-objects';

export default {
	async fetch(request) {
		const response = await gateway.respond(request);
		return response ? withKeepAlive(response) : new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
