import { expect, onTestFinished, test } from 'vitest';
import { startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { RawStream } from './raw-stream.ts';

test('a client that vanished without a word can come back once the keep-alive has noticed', async () => {
	const server = await startDevServer({ configs: ['test/e2e/workers/keep-alive/wrangler.jsonc'] });
	onTestFinished(server.stop);
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

	await waitFor('a GET that is not refused', 10_000, async () => (await get()) === 200);
	expect(server.logs()).not.toMatch(/error|uncaught/i);
});
