import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import { tool } from 'tmcp/utils';
import * as v from 'valibot';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const server = new McpServer(
	{ name: 'tea', version: '1.0.0' },
	{ adapter: new ValibotJsonSchemaAdapter(), capabilities: { tools: {} } },
);

server.tool({ name: 'order_tea', description: 'Ask how many cups, and order them.' }, async () => {
	const Order = v.object({ cups: v.number() });
	const { action, content } = await server.elicitation('How many cups?', Order);
	return tool.text(action === 'accept' ? `${content?.cups} cups are ordered.` : 'Nothing ordered.');
});

const sessions = new DurableObjectSessions();
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
