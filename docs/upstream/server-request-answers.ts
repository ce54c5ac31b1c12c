/** Two clients of one server. Exits with 1 as long as one of them can answer what the other one was asked. */
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

const server = new McpServer(
	{ name: 'asking', version: '1.0.0', description: 'asks its client' },
	{ adapter: undefined, capabilities: { tools: {} } },
);
server.tool({ name: 'ask', description: 'asks the client' }, async () => {
	const answer = await server.request({ method: 'roots/list' });
	return { content: [{ type: 'text', text: JSON.stringify(answer) }] };
});
const transport = new HttpTransport(server, { path: '/mcp' });

const post = async (session: string, message: object): Promise<Response> => {
	const request = new Request('http://localhost/mcp', {
		method: 'POST',
		headers: { 'content-type': 'application/json', 'mcp-session-id': session },
		body: JSON.stringify({ jsonrpc: '2.0', ...message }),
	});
	const response = await transport.respond(request);
	if (!response) throw new Error('The transport does not serve the path.');
	return response;
};

const call = await post('of-alice', { id: 'call', method: 'tools/call', params: { name: 'ask' } });
// Another session, which was never asked anything, answers the first request that any server sends: 1.
const { status } = await post('of-mallory', { id: 1, result: { roots: [], from: 'mallory' } });
console.log('mallory was answered', status);

const limit = new Promise<string>((resolve) => setTimeout(resolve, 500, 'nothing'));
const told = await Promise.race([call.text(), limit]);
console.log('the tool of alice was told', told.trim());
process.exit(told.includes('mallory') ? 1 : 0);
