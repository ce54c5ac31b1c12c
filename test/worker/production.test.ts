import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import worker from '../../examples/snippets/production.ts';
import { INITIALIZE } from './gateway/client.ts';

const PAGE = 'https://app.example.com';

/** Each token is the name of its user. */
beforeEach(() => {
	vi.spyOn(globalThis, 'fetch').mockImplementation(async (_, init) => {
		const sub = new Headers(init?.headers).get('authorization')?.replace('Bearer ', '');
		return Response.json({ sub });
	});
});
afterEach(() => void vi.restoreAllMocks());

function ask(method: string, path: string, headers: Record<string, string>, message?: object) {
	const request = new Request<unknown, IncomingRequestCfProperties>(`https://example.com${path}`, {
		method,
		headers: {
			'content-type': 'application/json',
			accept: 'application/json, text/event-stream',
			...headers,
		},
		...(message && { body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }) }),
	});
	return worker.fetch(request);
}

const initialize = (headers: Record<string, string>) =>
	ask('POST', '/mcp', headers, { method: 'initialize', params: INITIALIZE });

it('tells a client without a token where to get one', async () => {
	const refused = await initialize({ origin: PAGE });
	expect(refused.status).toBe(401);
	const [, url = ''] =
		/^Bearer resource_metadata="(.*)"$/.exec(refused.headers.get('www-authenticate') ?? '') ?? [];
	const metadata = await ask('GET', new URL(url).pathname, {});
	expect(await metadata.json()).toEqual({
		resource: 'https://example.com/mcp',
		authorization_servers: ['https://id.example.com'],
	});
});

it('answers the preflight of its pages, and nothing of others', async () => {
	const preflight = (origin: string) =>
		ask('OPTIONS', '/mcp', { origin, 'access-control-request-headers': 'authorization' });
	const answered = await preflight(PAGE);
	expect(answered.status).toBe(204);
	expect(answered.headers.get('access-control-allow-origin')).toBe(PAGE);
	expect(answered.headers.get('access-control-allow-headers')).toBe('*, authorization');
	expect((await preflight('https://evil.example')).status).toBe(403);
});

it('gives a page its session, which is 404 to everybody else', async () => {
	const alice = { authorization: 'Bearer alice', origin: PAGE };
	const begun = await initialize(alice);
	await begun.text();
	expect(begun.status).toBe(200);
	expect(begun.headers.get('access-control-expose-headers')).toBe('mcp-session-id');
	const session = { 'mcp-session-id': begun.headers.get('mcp-session-id') ?? '' };
	const status = async (headers: Record<string, string>) => {
		const response = await ask('POST', '/mcp', headers, { method: 'ping' });
		await response.text();
		return response.status;
	};
	expect(await status({ ...alice, ...session })).toBe(200);
	expect(await status({ ...session, authorization: 'Bearer bob' })).toBe(404);
});
