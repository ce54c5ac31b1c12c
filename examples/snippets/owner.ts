import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const server = new McpServer(
	{ name: 'bell', version: '1.0.0' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

/** Your authentication: here, an OpenID Connect provider says whose token it is. */
async function authenticate({ headers }: Request): Promise<string | undefined> {
	const authorization = headers.get('authorization') ?? '';
	const response = await fetch('https://id.example.com/userinfo', { headers: { authorization } });
	return response.ok ? (await response.json<{ sub: string }>()).sub : undefined;
}

// #region owner
/** Whose request it is, once that is verified. */
const users = new WeakMap<Request, string>();
const sessions = new DurableObjectSessions({ owner: (request) => users.get(request) });
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

export default {
	async fetch(request) {
		const user = await authenticate(request);
		if (user === undefined) return new Response('Unauthorized', { status: 401 });
		users.set(request, user);
		const response = await gateway.respond(request);
		return response ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
// #endregion owner
