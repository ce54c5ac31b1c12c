import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type DevServer, startDevServer } from '../../quickstart/demo/dev-server.ts';
import { ListeningClient } from '../../quickstart/demo/listening-client.ts';
import { McpClient } from '../../quickstart/demo/mcp-client.ts';

let registry: string;
let quickstart: DevServer;
let second: DevServer;

beforeAll(async () => {
	registry = await mkdtemp(join(tmpdir(), 'registry-'));
	[quickstart, second] = await Promise.all([
		startDevServer({ registry }),
		startDevServer({ registry, configs: ['examples/second-worker/wrangler.jsonc'] }),
	]);
});
afterAll(async () => {
	await Promise.all([second?.stop(), quickstart?.stop()]);
	await rm(registry, { recursive: true, force: true });
});

test('what comes in the queue reaches those who listen for it', async () => {
	const listener = await new ListeningClient('listener', new URL('/mcp', quickstart.url)).connect();
	onTestFinished(() => listener.close());
	await listener.listen({ resourceSubscriptions: ['memo://board'] });

	const events = new URL('/events', second.url);
	const put = await fetch(events, { method: 'POST', body: 'memo://board' });

	expect(put.status).toBe(202);
	await listener.receives('notifications/resources/updated', 1);
	expect(listener.received[0]?.params).toMatchObject({ uri: 'memo://board' });
});

test('the cron reaches every session', async () => {
	const client = await new McpClient('client', new URL('/mcp', quickstart.url)).connect();
	onTestFinished(() => client.drop());

	const ran = await fetch(new URL('/cdn-cgi/handler/scheduled', second.url));

	expect(await ran.text()).toBe('ok');
	await client.receives('notifications/message', 1);
	expect(client.received[0]?.params).toMatchObject({
		data: expect.stringMatching(/^It is \d{4}-/),
	});
});
