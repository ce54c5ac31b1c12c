/** A server whose tool asks its client as often as it is told, behind a gateway. For `npm run flow`. */
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { HttpTransport } from '@tmcp/transport-http';
import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { McpServer } from 'tmcp';
import * as v from 'valibot';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const server = new McpServer<v.GenericSchema>(
	{ name: 'asking', version: '1.0.0', description: 'asks its clients' },
	{ adapter: new ValibotJsonSchemaAdapter(), capabilities: { tools: {} } },
);
server.tool(
	{
		name: 'ask',
		description: 'asks for a name, so many times',
		schema: v.object({ times: v.number() }),
	},
	async ({ times }) => {
		let accepted = 0;
		for (let nth = 0; nth < times; nth++) {
			const answer = await server.elicitation('Which name?', v.object({ name: v.string() }));
			if (answer.action === 'accept') accepted++;
		}
		return { content: [{ type: 'text', text: String(accepted) }] };
	},
);

const sessions = new DurableObjectSessions({ binding: 'TMCP_DURABLE_OBJECT' });
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
