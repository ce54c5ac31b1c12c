import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { ListeningClient } from '../../examples/quickstart/demo/listening-client.ts';
import { LIMIT_MS } from '../../examples/quickstart/demo/recording-client.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { hearingClient } from './hearing-client.ts';

let server: DevServer;

beforeAll(async () => {
	server = await startDevServer({ configs: ['test/e2e/workers/short-lives/wrangler.jsonc'] });
});
afterAll(() => server?.stop());

async function ask(method: 'GET' | 'POST', body?: string): Promise<Record<string, unknown>> {
	const url = new URL('/', server.url);
	const response = await fetch(url, body === undefined ? { method } : { method, body });
	return Object(await response.json());
}

test('the official client, whose stream ends every second, comes back by itself and gets each message once, in order', async () => {
	const { received, errors, lastEventIds } = await hearingClient(new URL('/mcp', server.url));
	await waitFor('the stream', LIMIT_MS, async () => (await ask('GET'))['streams'] === 1);

	const sent: string[] = [];
	while (lastEventIds.length < 4) {
		sent.push(`number ${sent.length + 1}`);
		await ask('POST', sent.at(-1));
		await new Promise((resolve) => setTimeout(resolve, 50));
	}

	await waitFor(`${sent.length} messages`, LIMIT_MS, () => received.length >= sent.length);
	expect(received).toEqual(sent);
	expect(lastEventIds.slice(0, 4)).toEqual([null, ...Array(3).fill(expect.stringMatching(/^0\./))]);
	expect(errors).toEqual([]);
	expect(server.logs()).not.toMatch(/error|uncaught/i);
});

test('a listener is told that its stream is complete, and may listen again', async () => {
	const client = await new ListeningClient('listener', new URL('/mcp', server.url)).connect();
	onTestFinished(() => client.close());
	for (let life = 1; life <= 3; life++) {
		const { closed } = await client.listen({ toolsListChanged: true });
		await ask('POST', 'something has changed');
		await client.receives('notifications/tools/list_changed', life);
		expect(await closed).toBe('graceful');
		expect(await ask('GET')).toMatchObject({ subscriptions: 0 });
	}
	expect(server.logs()).not.toMatch(/error|uncaught/i);
});

test('a listener that asks for nothing is told at once that its stream is complete', async () => {
	const client = await new ListeningClient('listener', new URL('/mcp', server.url)).connect();
	onTestFinished(() => client.close());
	const { closed } = await client.listen({});
	expect(await closed).toBe('graceful');
	expect(await ask('GET')).toMatchObject({ subscriptions: 0 });
});
