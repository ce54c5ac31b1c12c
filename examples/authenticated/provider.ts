/**
 * In the place of what `@tmcp/auth` builds: the two methods of it that `HttpTransport` calls. With the package this file is
 *
 * ```ts
 * export const oauth = OAuth.issuer('https://bell.example.com')
 * 	.handlers({ authorize, exchange, verify })
 * 	.bearer({ paths: { GET: ['/mcp'], POST: ['/mcp'] }, resourceUrl })
 * 	.build();
 * ```
 *
 * and `verify` throws its `InvalidTokenError`: any other error is answered 500. A request for another host than the issuer's
 * it lets through without a token, so give the gateway `allowedHosts: ['bell.example.com']`.
 */
import { env } from 'cloudflare:workers';

async function verify(token: string) {
	const user = Object.hasOwn(env.USERS, token) ? env.USERS[token] : undefined;
	if (user === undefined) throw new Error('invalid_token');
	return { token, clientId: 'a-client', scopes: ['bell'], extra: { user } };
}

export const oauth = {
	/** Answers for the authorisation server, and refuses who has no valid token. `null`: the request goes on. */
	async respond(request: Request): Promise<Response | null> {
		const { origin, pathname } = new URL(request.url);
		if (pathname === '/.well-known/oauth-protected-resource')
			return Response.json({ resource: `${origin}/mcp`, authorization_servers: [origin] });
		if (pathname !== '/mcp') return null;
		if (await this.verify(request).catch(() => null)) return null;
		const metadata = `${origin}/.well-known/oauth-protected-resource`;
		const headers = { 'www-authenticate': `Bearer resource_metadata="${metadata}"` };
		return Response.json({ error: 'invalid_token' }, { status: 401, headers });
	},

	/** Who makes a request; `null` without a token. Rejects where it is not valid. */
	async verify({ headers }: Request) {
		const [, token] = /^Bearer (\S+)$/i.exec(headers.get('authorization') ?? '') ?? [];
		return token === undefined ? null : verify(token);
	},
};
