import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';

let server: DevServer;

beforeAll(async () => {
	server = await startDevServer({ configs: ['test/support/worker/wrangler.jsonc'] });
});
afterAll(() => server?.stop());

const LIMIT_MS = 10_000;

/** The stream of an SseTransport, once it is not refused with 409: a client that went away is noticed a little later. */
async function openSse(url: URL) {
	const aborted = new AbortController();
	const response = await waitFor('a GET that is not refused', LIMIT_MS, async () => {
		const { signal } = aborted;
		const answer = await fetch(url, { signal });
		if (answer.status === 200) return answer;
		await answer.body?.cancel();
		return undefined;
	});
	let text = '';
	const read = async () => {
		for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
			text += chunk;
		}
	};
	read().catch(() => {});
	return {
		text: () => text,
		receives: (part: string) => waitFor(part, LIMIT_MS, () => text.includes(part)),
		close: () => aborted.abort(),
	};
}

/** Reads `data` after `data` of a response. */
async function* messages(response: Response): AsyncGenerator<Record<string, unknown>> {
	let text = '';
	for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
		text += chunk;
		const events = text.split('\n\n');
		text = events.pop() ?? '';
		for (const event of events) yield JSON.parse(event.slice(event.indexOf('data: ') + 6));
	}
}

test('a client’s answer to a server’s request is handled, 20 of 20 times with KV reads slowed to 100 ms', async () => {
	const sessionId = crypto.randomUUID();
	const post = (body: object) =>
		fetch(new URL('/slow', server.url), {
			method: 'POST',
			headers: { 'content-type': 'application/json', 'mcp-session-id': sessionId },
			body: JSON.stringify({ jsonrpc: '2.0', ...body }),
		});
	const clientInfo = { name: 'test', version: '1' };
	const params = { protocolVersion: '2025-06-18', capabilities: { roots: {} }, clientInfo };
	await (await post({ id: 'init', method: 'initialize', params })).text();

	let handled = 0;
	for (let round = 1; round <= 20; round++) {
		const call = messages(
			await post({ id: `ask-${round}`, method: 'tools/call', params: { name: 'ask' } }),
		);
		const request = (await call.next()).value;
		expect(request).toMatchObject({ method: 'roots/list' });
		const roots = [{ uri: `file:///${round}` }];
		expect((await post({ id: request?.['id'], result: { roots } })).status).toBe(202);
		const text = JSON.stringify({ roots });
		expect((await call.next()).value).toMatchObject({ result: { content: [{ text }] } });
		handled++;
	}
	expect(handled).toBe(20);
}, 30_000);

test('over SseTransport a server’s request is refused with a code in the log, and a client that comes back is not asked', async () => {
	const sessionId = crypto.randomUUID();
	const url = (path: string) => new URL(`${path}?session_id=${sessionId}`, server.url);
	const post = (body: object) =>
		fetch(url('/message'), {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify({ jsonrpc: '2.0', ...body }),
		});
	const call = (id: number, name: string) =>
		post({ id, method: 'tools/call', params: { name, arguments: {} } });
	const refusals = () => server.logs().match(/SessionManagerError: SERVER_REQUEST_REFUSED/g) ?? [];
	const clientInfo = { name: 'test', version: '1' };
	const params = { protocolVersion: '2025-06-18', capabilities: { roots: {} }, clientInfo };

	const first = await openSse(url('/sse'));
	await post({ id: 1, method: 'initialize', params });
	await first.receives('"id":1');
	const asking = call(2, 'ask');
	await waitFor('the refusal', LIMIT_MS, () => refusals().length === 1);
	first.close();
	// What is sent to all while it is away waits for it; and it is asked once more.
	await Promise.all([asking, call(3, 'announce'), call(4, 'ask')]);
	await waitFor('the second refusal', LIMIT_MS, () => refusals().length === 2);

	const second = await openSse(url('/sse'));
	await second.receives('notifications/tools/list_changed');
	await call(5, 'look');
	await second.receives('"id":5');
	expect(first.text() + second.text()).not.toContain('roots/list');
	expect(refusals()).toHaveLength(2);
	second.close();
}, 40_000);
