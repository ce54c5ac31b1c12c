import {
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const server = new McpServer(
	{ name: 'bell', version: '1.0.0', description: 'A bell that every client hears' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

server.tool({ name: 'ring', description: 'Ring the bell' }, () => {
	server.changed('tools');
	return { content: [{ type: 'text', text: 'Ding!' }] };
});

const sessionManager = {
	streams: new DurableObjectStreamSessionManager(),
	info: new KVInfoSessionManager(),
};
const transport = new HttpTransport(server, { path: '/mcp', sessionManager });

export default {
	async fetch(request) {
		return (await transport.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
