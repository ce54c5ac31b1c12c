import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { ListeningClient } from '../../examples/quickstart/demo/listening-client.ts';
import { LIMIT_MS } from '../../examples/quickstart/demo/recording-client.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';

const MEMO = 'memo://board';
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';
const UPDATED = 'notifications/resources/updated';
const LIST_CHANGED = 'notifications/tools/list_changed';
const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';

interface Wire {
	/** What came in on `subscriptions/listen` streams, message by message, before the client saw it. */
	messages: unknown[];
	fetch: typeof fetch;
}

function wire(): Wire {
	const messages: unknown[] = [];
	return {
		messages,
		fetch: async (url, init) => {
			const response = await fetch(url, init);
			const isListen = new Headers(init?.headers).get('mcp-method') === 'subscriptions/listen';
			return isListen && response.body
				? new Response(response.body.pipeThrough(recordInto(messages)), response)
				: response;
		},
	};
}

/** Passes server-sent events through, and keeps the message of each. */
function recordInto(messages: unknown[]): TransformStream<Uint8Array, Uint8Array> {
	const decoder = new TextDecoder();
	let text = '';
	return new TransformStream({
		transform(chunk, controller) {
			text += decoder.decode(chunk, { stream: true });
			const events = text.split('\n\n');
			text = events.pop() ?? '';
			for (const event of events) {
				const data = /^data: (.*)$/m.exec(event)?.[1];
				if (data !== undefined) messages.push(JSON.parse(data));
			}
			controller.enqueue(chunk);
		},
	});
}

describe('subscriptions/listen on the quickstart under wrangler dev', () => {
	let server: DevServer;

	beforeAll(async () => {
		server = await startDevServer({
			configs: [
				'test/e2e/workers/front/listen.jsonc',
				'wrangler.jsonc',
				'test/e2e/workers/operator/wrangler.jsonc',
			],
		});
	});
	afterAll(() => server?.stop());

	async function connect(name: string, { fetch } = wire()): Promise<ListeningClient> {
		const url = new URL('/quickstart/mcp', server.url);
		const client = await new ListeningClient(name, url, undefined, fetch).connect();
		onTestFinished(() => client.close());
		return client;
	}

	/** What the operator's Worker answers. */
	async function operate(
		what: 'stats' | 'announce' | 'complete' | 'cancel',
	): Promise<Record<string, unknown>> {
		const response = await fetch(new URL(`/operator/${what}`, server.url));
		return Object(await response.json());
	}

	test('two listeners get exactly what each asked for, acknowledged first and tagged with its id', async () => {
		const wires = { tools: wire(), board: wire() };
		const tools = await connect('tools', wires.tools);
		const board = await connect('board', wires.board);
		const caller = await connect('caller');

		await Promise.all([
			tools.listen({ toolsListChanged: true }),
			board.listen({ resourceSubscriptions: [MEMO] }),
		]);
		expect(await operate('stats')).toMatchObject({ subscriptions: 2 });
		await caller.call('write_memo', { text: 'Lunch at noon' });
		await caller.call('announce_tools');
		await caller.call('write_memo', { text: 'Lunch at one' });
		await caller.call('announce_tools');
		await tools.receives(LIST_CHANGED, 2);
		await board.receives(UPDATED, 2);

		const message = (method: string, params: object) => ({
			jsonrpc: '2.0',
			method,
			params: { ...params, _meta: { [SUBSCRIPTION_ID]: 'listen:0' } },
		});
		expect(wires.tools.messages).toEqual([
			message(ACKNOWLEDGED, { notifications: { toolsListChanged: true } }),
			message(LIST_CHANGED, {}),
			message(LIST_CHANGED, {}),
		]);
		expect(wires.board.messages).toEqual([
			message(ACKNOWLEDGED, { notifications: { resourceSubscriptions: [MEMO] } }),
			message(UPDATED, { uri: MEMO, title: 'memo' }),
			message(UPDATED, { uri: MEMO, title: 'memo' }),
		]);
	});

	test('of two streams of one client, each has its own id', async () => {
		const client = await connect('client');
		await client.listen({ toolsListChanged: true });
		await client.listen({ toolsListChanged: true, resourceSubscriptions: [MEMO] });

		await client.call('write_memo', { text: 'for the second stream' });
		await client.receives(UPDATED, 1);
		await client.call('announce_tools');
		await client.receives(LIST_CHANGED, 2);

		const ids = client.received.map(({ params }) =>
			Reflect.get(Object(params?.['_meta']), SUBSCRIPTION_ID),
		);
		expect(ids[0]).toBe('listen:1');
		expect(ids.slice(1).toSorted()).toEqual(['listen:0', 'listen:1']);
	});

	test('loses no notification of a tool that answers at once, 20 times of 20', async () => {
		const listener = await connect('listener');
		const caller = await connect('caller');
		await listener.listen({ toolsListChanged: true, resourceSubscriptions: [MEMO] });

		for (let time = 1; time <= 20; time++) {
			await caller.call('announce_tools');
			await caller.call('write_memo', { text: `number ${time}` });
		}

		await listener.receives(LIST_CHANGED, 20);
		await listener.receives(UPDATED, 20);
		expect(listener.received).toHaveLength(40);
	});

	test('another Worker ends every subscription, and says whether it is complete', async () => {
		await waitFor('the listeners of other tests to be gone', LIMIT_MS, everyoneIsGone);
		const client = await connect('client');
		const complete = await client.listen({ toolsListChanged: true });
		expect(await operate('complete')).toEqual({ ended: 1 });
		expect(await complete.closed).toBe('graceful');

		const cancelled = await client.listen({ toolsListChanged: true });
		expect(await operate('cancel')).toEqual({ ended: 1 });
		expect(await cancelled.closed).toBe('remote');

		expect(await operate('stats')).toMatchObject({ subscriptions: 0 });
	});

	test('a listener that goes away leaves nothing once something is raised', async () => {
		const client = await connect('client');
		await client.listen({ toolsListChanged: true });
		await client.listen({ resourceSubscriptions: [MEMO] });
		expect(await operate('stats')).toMatchObject({ subscriptions: 2 });

		await client.close();

		await waitFor('no subscription to be left', LIMIT_MS, everyoneIsGone);
		expect(server.logs()).not.toMatch(/error|uncaught/i);
	});

	/** Raises notifications: a server notices that a client is gone when it writes to it. */
	async function everyoneIsGone(): Promise<boolean> {
		await operate('announce');
		const { subscriptions } = await operate('stats');
		return subscriptions === 0;
	}
});
