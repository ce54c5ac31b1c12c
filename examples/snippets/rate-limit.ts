import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
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

const sessions = new DurableObjectSessions();
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

// #region limit
interface Env {
	CALLS: RateLimit;
}

export default {
	async fetch(request, env) {
		// Better: the user whom you have authenticated. Many clients may share one address.
		const key = request.headers.get('cf-connecting-ip') ?? 'nobody';
		const { success } = await env.CALLS.limit({ key });
		if (!success) {
			const error = { code: -32000, message: 'Too many requests. Try again in a minute.' };
			const headers = { 'retry-after': '60' };
			return Response.json({ jsonrpc: '2.0', id: null, error }, { status: 429, headers });
		}
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler<Env>;
// #endregion limit
