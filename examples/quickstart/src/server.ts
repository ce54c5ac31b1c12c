import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { env } from 'cloudflare:workers';
import { McpServer } from 'tmcp';
import { resource, tool } from 'tmcp/utils';
import * as v from 'valibot';

const MEMO_URI = 'memo://board';

/** What the quickstart offers. How it is served, and how its clients are reached, stands in `index.ts`. */
export const server = new McpServer(
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
