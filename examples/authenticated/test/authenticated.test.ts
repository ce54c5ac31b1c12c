import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DevServer, startDevServer } from '../../quickstart/demo/dev-server.ts';

const ALICE = 'Bearer token-of-alice';
const MALLORY = 'Bearer token-of-mallory';

let servers: Record<'bearer' | 'oauth', DevServer>;

beforeAll(async () => {
	const start = (name: string) => startDevServer({ configs: [`examples/authenticated/${name}`] });
	const [bearer, oauth] = await Promise.all([start('bearer.jsonc'), start('oauth.jsonc')]);
	servers = { bearer, oauth };
});
afterAll(() => Promise.all(Object.values(servers).map((server) => server.stop())));

/** A request of MCP, and all of its response. */
async function post(of: keyof typeof servers, method: string, params: object, headers: object) {
	const response = await fetch(new URL('/mcp', servers[of].url), {
		method: 'POST',
		headers: { 'content-type': 'application/json', ...headers },
		body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
	});
	return { response, status: response.status, text: await response.text() };
}

async function begin(of: keyof typeof servers, authorization: string) {
	const clientInfo = { name: 'test', version: '1.0.0' };
	const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
	const { response } = await post(of, 'initialize', params, { authorization });
	return { authorization, 'mcp-session-id': response.headers.get('mcp-session-id') ?? '' };
}

describe.each(['bearer', 'oauth'] as const)('%s', (of) => {
	test('nobody gets in without a valid token', async () => {
		for (const headers of [{}, { authorization: 'Bearer forged' }]) {
			const { status, response } = await post(of, 'initialize', {}, headers);
			expect(status).toBe(401);
			expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
		}
	});

	test('a session is that of the user who began it, and 404 to all others', async () => {
		const session = await begin(of, ALICE);
		const ring = { name: 'ring', arguments: {} };
		expect((await post(of, 'tools/call', ring, session)).text).toContain('Ding!');
		const stolen = { ...session, authorization: MALLORY };
		expect((await post(of, 'tools/call', ring, stolen)).status).toBe(404);
		const forged = { ...session, authorization: 'Bearer forged' };
		expect((await post(of, 'tools/call', ring, forged)).status).toBe(401);
		expect((await post(of, 'tools/call', ring, session)).text).toContain('Ding!');
	});
});

test('with OAuth, a tool knows its caller, and a client finds the authorisation server', async () => {
	const whoAmI = { name: 'who_am_i', arguments: {} };
	const { text } = await post('oauth', 'tools/call', whoAmI, await begin('oauth', ALICE));
	expect(text).toContain('alice');
	const metadata = new URL('/.well-known/oauth-protected-resource', servers.oauth.url);
	expect(await (await fetch(metadata)).json()).toMatchObject({
		authorization_servers: [expect.any(String)],
	});
});
