import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type DevServer, startDevServer } from '../../quickstart/demo/dev-server.ts';
import { ListeningClient } from '../../quickstart/demo/listening-client.ts';
import { McpClient } from '../../quickstart/demo/mcp-client.ts';
import { waitFor } from '../../quickstart/demo/wait-for.ts';

const MEMO = 'memo://board';
const UPDATED = 'notifications/resources/updated';

/** How long a line may take to stand in the log, in milliseconds. */
const LOG_LIMIT_MS = 10_000;

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

const mcp = () => new URL('/mcp', quickstart.url);

test('what comes in the queue reaches the sessions that subscribed and those who listen for it', async () => {
	const [subscriber, other] = await Promise.all(
		['subscriber', 'other'].map((name) => new McpClient(name, mcp()).connect()),
	);
	onTestFinished(async () => {
		await Promise.all([subscriber?.drop(), other?.drop()]);
	});
	await subscriber?.subscribe(MEMO);
	const listener = await new ListeningClient('listener', mcp()).connect();
	onTestFinished(() => listener.close());
	await listener.listen({ resourceSubscriptions: [MEMO] });

	const events = new URL('/events', second.url);
	const put = await fetch(events, { method: 'POST', body: MEMO });

	expect(put.status).toBe(202);
	for (const client of [subscriber, listener]) {
		await client?.receives(UPDATED, 1);
		expect(client?.received[0]?.params).toMatchObject({ uri: MEMO });
	}
	await waitFor('the log of the queue', LOG_LIMIT_MS, () =>
		second.logs().includes(`1 sessions and 1 listeners know of ${MEMO}`),
	);
	// What is sent to all comes after it on each stream: with that, all that was to come has come.
	await fetch(new URL('/broadcast', second.url), { method: 'POST', body: 'Hello, all' });
	await other?.receives('notifications/message', 1);
	expect(other?.count(UPDATED)).toBe(0);
});

test('the cron reaches every session', async () => {
	const client = await new McpClient('client', mcp()).connect();
	onTestFinished(() => client.drop());

	const ran = await fetch(new URL('/cdn-cgi/handler/scheduled', second.url));

	expect(await ran.text()).toBe('ok');
	await client.receives('notifications/message', 1);
	expect(client.received[0]?.params).toMatchObject({
		data: expect.stringMatching(/^It is \d{4}-/),
	});
});
