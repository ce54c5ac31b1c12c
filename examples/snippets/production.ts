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
	const authorization = headers.get('authorization');
	if (authorization === null) return undefined;
	const response = await fetch('https://id.example.com/userinfo', { headers: { authorization } });
	return response.ok ? (await response.json<{ sub: string }>()).sub : undefined;
}

// #region parts
/** The web pages that may call this server. Clients that are no web pages send no Origin. */
const PAGES = ['https://app.example.com'];

/** Whose request it is, once that is verified. */
const users = new WeakMap<Request, string>();

const sessions = new DurableObjectSessions({
	owner: (request) => users.get(request),
	onError: (error) => console.error(error),
	streams: { onGap: (session) => console.warn('missed messages', session.slice(0, 8)) },
});
const gateway = sessions.gateway(
	new HttpTransport(server, {
		...sessions.transport,
		allowedOrigins: PAGES,
		// A browser does not take `*` for the token's header.
		cors: {
			origin: PAGES,
			allowedHeaders: ['*', 'authorization'],
			exposedHeaders: ['mcp-session-id'],
		},
	}),
);
// #endregion parts

// #region fetch
/** Where a client finds out who issues tokens for this server (RFC 9728). */
const METADATA_PATH = '/.well-known/oauth-protected-resource/mcp';

/** Pages may read what is no secret: the refusal, and the metadata. */
const READABLE = {
	'access-control-allow-origin': '*',
	'access-control-expose-headers': 'www-authenticate',
};

export default {
	async fetch(request) {
		const url = new URL(request.url);
		if (url.pathname === METADATA_PATH) {
			const metadata = {
				resource: new URL('/mcp', url),
				authorization_servers: ['https://id.example.com'],
			};
			return Response.json(metadata, { headers: READABLE });
		}
		// A preflight has no token.
		if (request.method !== 'OPTIONS') {
			const user = await authenticate(request);
			if (user === undefined) {
				const challenge = `Bearer resource_metadata="${new URL(METADATA_PATH, url).href}"`;
				const headers = { ...READABLE, 'www-authenticate': challenge };
				return new Response('Unauthorized', { status: 401, headers });
			}
			users.set(request, user);
		}
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
// #endregion fetch
