import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { RawStream } from './raw-stream.ts';

const LIMIT_MS = 10_000;

let server: DevServer;

beforeAll(async () => {
	server = await startDevServer({ configs: ['test/e2e/workers/keep-alive/wrangler.jsonc'] });
});
afterAll(() => server?.stop());

test('a client that vanished without a word can come back once the keep-alive has noticed', async () => {
	const url = new URL('/mcp', server.url);
	const headers = { 'mcp-session-id': crypto.randomUUID() };
	const get = async () => {
		const response = await fetch(url, { headers });
		await response.body?.cancel();
		return response.status;
	};
	const stream = await RawStream.open(url, headers);
	expect(await get()).toBe(409);

	stream.vanish();

	await waitFor('a GET that is not refused', LIMIT_MS, async () => (await get()) === 200);
	expect(server.logs()).not.toMatch(/error|uncaught/i);
});

test('a listener that vanished without a word is noticed by the keep-alive', async () => {
	const subscriptions = async () =>
		Reflect.get(Object(await (await fetch(new URL('/stats', server.url))).json()), 'subscriptions');
	const stream = await listenByHand(new URL('/mcp', server.url));
	await stream.receives('notifications/subscriptions/acknowledged');
	await stream.receives(': keep-alive');
	expect(await subscriptions()).toBe(1);

	stream.vanish();

	await waitFor('the subscription to be gone', LIMIT_MS, async () => (await subscriptions()) === 0);
	expect(server.logs()).not.toMatch(/error|uncaught/i);
});

/** The POST of a client of 2026-07-28, on a TCP socket. */
function listenByHand(url: URL): Promise<RawStream> {
	const method = 'subscriptions/listen';
	const version = '2026-07-28';
	const headers = {
		'content-type': 'application/json',
		accept: 'application/json, text/event-stream',
		'mcp-protocol-version': version,
		'mcp-method': method,
	};
	const params = {
		notifications: { toolsListChanged: true },
		_meta: {
			'io.modelcontextprotocol/protocolVersion': version,
			'io.modelcontextprotocol/clientInfo': { name: 'by hand', version: '1.0.0' },
			'io.modelcontextprotocol/clientCapabilities': {},
		},
	};
	return RawStream.post(url, headers, JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
}
