import {
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
	SessionGateway,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const server = new McpServer(
	{ name: 'bell', version: '1.0.0', description: 'A bell that every client hears' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

const info = new KVInfoSessionManager('TMCP_SESSION_INFO');
const streams = new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', { info });
const transport = new HttpTransport(server, { path: '/mcp', sessionManager: { streams, info } });

/** Whose request it is, by what was verified of it. */
const users = new WeakMap<Request, string>();
const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', {
	path: '/mcp',
	info,
	owner: (request) => users.get(request),
});

/** Your authentication: here, whose token it is in the eyes of an OpenID Connect provider. */
async function authenticate({ headers }: Request): Promise<string | undefined> {
	const authorization = headers.get('authorization') ?? '';
	const response = await fetch('https://id.example.com/userinfo', { headers: { authorization } });
	return response.ok ? (await response.json<{ sub: string }>()).sub : undefined;
}

export default {
	async fetch(request) {
		const user = await authenticate(request);
		if (user === undefined) return new Response('Unauthorized', { status: 401 });
		users.set(request, user);
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
