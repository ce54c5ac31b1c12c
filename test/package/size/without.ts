/** The README's first Worker without this library: what a bundle has already. */
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

const server = new McpServer(
	{ name: 'bell', version: '1.0.0', description: 'A bell that every client hears' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

server.tool({ name: 'ring', description: 'Ring the bell' }, () => {
	server.changed('tools');
	return { content: [{ type: 'text', text: 'Ding!' }] };
});

const transport = new HttpTransport(server, { path: '/mcp' });

export default {
	async fetch(request: Request) {
		return (await transport.respond(request)) ?? new Response('Not found', { status: 404 });
	},
};
