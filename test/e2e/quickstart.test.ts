import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { McpClient } from '../../examples/quickstart/demo/mcp-client.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';

const MEMO = 'memo://board';
const UPDATED = 'notifications/resources/updated';
const LIST_CHANGED = 'notifications/tools/list_changed';

describe('the quickstart under wrangler dev', () => {
	let server: DevServer;

	beforeAll(async () => {
		server = await startDevServer();
	});
	afterAll(() => server?.stop());

	async function connect(name: string): Promise<McpClient> {
		const client = new McpClient(name, new URL('/mcp', server.url));
		onTestFinished(() => client.drop());
		return client.connect();
	}

	test('answers tool calls and resource reads', async () => {
		const client = await connect('client');

		expect(await client.call('greet', { name: 'Ada' })).toBe('Hello, Ada!');
		await client.call('write_memo', { text: 'Lunch at noon' });
		expect(await client.read(MEMO)).toBe('Lunch at noon');
	});

	test('tells every client that the tools changed, and only the subscribers that the memo did', async () => {
		const [first, second, other] = await Promise.all(['first', 'second', 'other'].map(connect));
		await Promise.all([first, second].map((client) => client?.subscribe(MEMO)));

		await other?.call('write_memo', { text: 'for the subscribers' });
		await other?.call('announce_tools');

		// The announcement comes last on each stream: with it, all that was to come has come.
		await Promise.all([first, second, other].map((client) => client?.receives(LIST_CHANGED, 1)));
		const methods = [first, second, other].map((client) =>
			client?.received.map(({ method }) => method),
		);
		expect(methods).toEqual([[UPDATED, LIST_CHANGED], [UPDATED, LIST_CHANGED], [LIST_CHANGED]]);
		expect(first?.received[0]?.params).toMatchObject({ uri: MEMO });
	});

	test('loses no notification of a tool that answers at once, 20 times of 20', async () => {
		const listener = await connect('listener');
		const caller = await connect('caller');
		await listener.subscribe(MEMO);

		for (let time = 1; time <= 20; time++) {
			await caller.call('announce_tools');
			await caller.call('write_memo', { text: `number ${time}` });
		}

		await listener.receives(LIST_CHANGED, 20);
		await listener.receives(UPDATED, 20);
		expect(listener.received).toHaveLength(40);
	});

	test('ends the stream of a session on DELETE, without an error in the log', async () => {
		const client = await connect('client');
		const other = await connect('other');

		await client.terminate();

		expect(client.streams).toEqual([{ status: 200, state: 'ended' }]);
		await other.call('announce_tools');
		await other.receives(LIST_CHANGED, 1);
		await waitFor('the DELETE in the log', 5_000, () => server.logs().includes('DELETE /mcp 200'));
		expect(server.logs()).not.toMatch(/error|uncaught/i);
	});

	test('answers 404 beside its path', async () => {
		expect((await fetch(new URL('/elsewhere', server.url))).status).toBe(404);
	});
});
