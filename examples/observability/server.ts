import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

const server = new McpServer(
	{ name: 'observed', version: '1.0.0', description: 'A bell that every client hears' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

server.tool({ name: 'ring', description: 'Ring the bell' }, () => {
	server.changed('tools');
	return { content: [{ type: 'text', text: 'Ding!' }] };
});

const sessions = new DurableObjectSessions();
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

export async function respond(request: Request): Promise<Response> {
	return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
}
