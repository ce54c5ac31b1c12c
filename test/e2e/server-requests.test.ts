import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';

let server: DevServer;

beforeAll(async () => {
	server = await startDevServer({ configs: ['test/support/worker/wrangler.jsonc'] });
});
afterAll(() => server?.stop());

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
