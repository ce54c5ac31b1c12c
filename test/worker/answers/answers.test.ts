import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_HOMES } from '../../../src/worker/routing/default-homes.ts';
import { objectOf } from '../../support/objects.ts';
import { outcomes } from '../../support/worker/asking.ts';
import { AskingClient, askedOn, resultOf } from './asking-client.ts';

const WIRE_ID = /^[\da-f-]{36}\.[\da-f-]{36}$/;
const ALICE = { 'x-user': 'alice' };

/** Calls that ask 50 times each: all of them belong to one session, so to one home, however many there are. */
const CALLS = DEFAULT_HOMES === 1 ? 20 : 2;

const object = () => objectOf(client.session.sessionId);

const rows = () =>
	runInDurableObject(
		object(),
		(_, { storage }) => storage.sql.exec('SELECT * FROM tmcp_questions').toArray().length,
	);

const sockets = () =>
	runInDurableObject(object(), (_, ctx) => ctx.getWebSockets().filter(isOpen).length);

function isOpen({ readyState }: WebSocket): boolean {
	return readyState === WebSocket.OPEN;
}

/** Wait until nothing is left of what was asked. */
async function nothingIsLeft(): Promise<void> {
	await vi.waitFor(async () => {
		expect({ rows: await rows(), sockets: await sockets() }).toEqual({ rows: 0, sockets: 0 });
	});
}

/** All of a response that a client can see. */
async function visible(response: Response) {
	const body = await response.text();
	return { status: response.status, headers: [...response.headers], body };
}

let client: AskingClient;
beforeEach(async () => {
	client = await AskingClient.begin(ALICE);
	outcomes.length = 0;
});

describe('a server’s request on the response of a POST', () => {
	it.each([
		['the same instance', 'first'],
		['another instance', 'second'],
		['an instance with a distant KV', 'distant'],
	])(
		'gets its answer through %s, 20 times of 20',
		async (_, instance) => {
			for (let round = 1; round <= 20; round++) {
				const call = await client.call('ask', { topics: [`topic ${round}`] });
				const { id, params } = await askedOn(call);
				expect(id).toMatch(WIRE_ID);
				expect(params).toEqual({ topic: `topic ${round}` });
				expect((await client.answer(id, { round }, instance)).status).toBe(202);
				expect(await resultOf(call)).toBe(JSON.stringify([{ round }]));
			}
			await nothingIsLeft();
		},
		30_000,
	);

	it('gets an error that the client answers', async () => {
		const call = await client.call('ask', { topics: ['x'] });
		const { id } = await askedOn(call);
		await client.post({ jsonrpc: '2.0', id, error: { code: -1, message: 'I will not say.' } });
		expect(await resultOf(call)).toContain('I will not say.');
	});

	it('is one of several at once, each of which gets its own answer', async () => {
		const topics = ['a', 'b', 'c', 'd'];
		const call = await client.call('ask_at_once', { topics });
		const asked = await Promise.all(topics.map((_, index) => askedOn(call, index + 1)));
		expect(await sockets()).toBe(1);
		for (const { id, params } of asked.toReversed()) await client.answer(id, params, 'second');
		expect(await resultOf(call)).toBe(JSON.stringify(topics.map((topic) => ({ topic }))));
		await nothingIsLeft();
	});

	it('does not mix with one of another instance, though tmcp gives both the same number', async () => {
		const [one, two] = [
			await client.call('ask', { topics: ['one'] }, 'first'),
			await client.call('ask', { topics: ['two'] }, 'second'),
		];
		const [first, second] = [await askedOn(one), await askedOn(two)];
		await client.answer(second.id, { is: 'two' }, 'first');
		await client.answer(first.id, { is: 'one' }, 'second');
		expect(await resultOf(one)).toBe('[{"is":"one"}]');
		expect(await resultOf(two)).toBe('[{"is":"two"}]');
	});

	it('holds one socket as long as it asks, and not while it does anything else', async () => {
		expect(await sockets()).toBe(0);
		const call = await client.call('ask', { topics: ['first', 'then'] });
		const first = await askedOn(call);
		expect(await sockets()).toBe(1);
		await client.answer(first.id, {});
		const then = await askedOn(call, 2);
		expect(then.id).not.toBe(first.id);
		await vi.waitFor(async () => expect(await sockets()).toBe(1));
		await client.answer(then.id, {});
		await nothingIsLeft();
	});

	it('leaves all other events as they are, in their order', async () => {
		const call = await client.call('talk');
		const messages = await call.messages(4);
		expect(messages).toEqual([
			expect.objectContaining({ params: expect.objectContaining({ data: 'before' }) }),
			expect.objectContaining({ method: 'test/ask' }),
			expect.objectContaining({
				params: expect.objectContaining({ data: { large: 'é'.repeat(100_000) } }),
			}),
			expect.objectContaining({
				params: expect.objectContaining({ data: '"method" and "id"' }),
			}),
		]);
		const { id } = await askedOn(call, 2);
		await client.answer(id, {});
		expect(await resultOf(call)).toBe('"told"');
		expect(call.events).toHaveLength(6);
	});

	it('survives the object, whether the answer comes before or after the socket is back', async () => {
		for (const isAnsweredFirst of [true, false]) {
			const call = await client.call('ask', { topics: ['x'] });
			const { id } = await askedOn(call);
			await evictDurableObject(object(), { webSockets: 'close' });
			if (!isAnsweredFirst) await vi.waitFor(async () => expect(await sockets()).toBe(1));
			expect((await client.answer(id, { still: 'here' }, 'second')).status).toBe(202);
			expect(await resultOf(call)).toBe('[{"still":"here"}]');
		}
		await nothingIsLeft();
	});

	it(`leaves nothing behind, ${50 * CALLS} times`, async () => {
		const topics = Array.from({ length: 50 }, (_, index) => String(index));
		const askAll = async (calls: number) => {
			const call = await client.call('ask', { topics });
			for (const nth of topics.keys()) {
				const { id } = await askedOn(call, nth + 1);
				await client.answer(id, { nth }, (calls + nth) % 2 ? 'first' : 'second');
			}
			await call.ended;
		};
		await Promise.all(Array.from({ length: CALLS }, (_, nth) => askAll(nth)));
		expect(outcomes).toHaveLength(50 * CALLS);
		await nothingIsLeft();
	}, 120_000);
});

describe('what nobody answers', () => {
	it('ends at its deadline: the tool gets an error, the client is told, and a late answer is nobody’s', async () => {
		const call = await client.call('ask', { topics: ['x'] }, 'impatient');
		const { id } = await askedOn(call);
		expect(await resultOf(call)).toContain('did not answer within 0.2 seconds');
		expect((await call.messages(3))[1]).toEqual({
			jsonrpc: '2.0',
			method: 'notifications/cancelled',
			params: { requestId: id, reason: expect.stringContaining('0.2 seconds') },
		});
		expect((await client.answer(id, {})).status).toBe(202);
		expect(outcomes).toHaveLength(1);
		await nothingIsLeft();
	});

	it('ends at once where the client goes away', async () => {
		const call = await client.call('ask', { topics: ['x'] });
		await askedOn(call);
		await call.cancel();
		await vi.waitFor(() =>
			expect(outcomes).toEqual([expect.stringContaining('closed its connection')]),
		);
		await nothingIsLeft();
	});

	it('ends at once where the session ends', async () => {
		const call = await client.call('ask', { topics: ['x'] });
		await askedOn(call);
		await client.session.fetch('DELETE');
		expect(await resultOf(call)).toContain('The session ended');
		await nothingIsLeft();
	});

	it('is taken back where the tool does not wait for it', async () => {
		const call = await client.call('give_up');
		const { id } = await askedOn(call);
		await call.ended;
		expect(call.events.map((event): unknown => JSON.parse(event)).at(-1)).toEqual({
			jsonrpc: '2.0',
			method: 'notifications/cancelled',
			params: { requestId: id, reason: expect.any(String) },
		});
		await vi.waitFor(() => expect(outcomes).toHaveLength(1));
		await nothingIsLeft();
	});
});

describe('of what is no answer to a waiting request, in its session and of its owner', () => {
	it('none of 100 reaches a tool, and each is told what the right one is told', async () => {
		const other = await AskingClient.begin(ALICE);
		const mallory = await AskingClient.begin({ 'x-user': 'mallory' });
		const call = await client.call('ask_at_once', { topics: ['a', 'b'] });
		const [one, two] = [await askedOn(call, 1), await askedOn(call, 2)];

		const injected: Response[] = [];
		for (let id = 1; id <= 50; id++) {
			const by = [client, other, mallory][id % 3] ?? client;
			injected.push(await by.answer(id % 4 === 0 ? String(id) : id, { injected: id }));
		}
		for (let round = 0; round < 15; round++) {
			for (const by of [other, mallory]) {
				injected.push(await by.answer(one.id, { injected: round }, round % 2 ? 'first' : 'second'));
			}
		}
		const right = await client.answer(one.id, { answer: 1 });
		for (let round = 0; round < 20; round++) {
			const instance = round % 2 ? 'first' : 'second';
			injected.push(await client.answer(one.id, { replayed: round }, instance));
		}
		expect(injected).toHaveLength(100);
		await client.answer(two.id, { answer: 2 });
		expect(await resultOf(call)).toBe('[{"answer":1},{"answer":2}]');
		expect(outcomes).toEqual(['{"answer":1}', '{"answer":2}']);

		const expected = await visible(right);
		expect(expected.status).toBe(202);
		for (const response of injected) expect(await visible(response)).toEqual(expected);
	}, 30_000);

	it('what tmcp would drop is not taken for the answer', async () => {
		const call = await client.call('ask', { topics: ['x'] });
		const { id } = await askedOn(call);
		const statuses: number[] = [];
		for (const message of [
			{ jsonrpc: '2.0', id, result: 5 },
			{ jsonrpc: '2.0', id, result: {}, more: true },
			{ jsonrpc: '2.0', id, error: { code: 1.5, message: 'x' } },
			{ jsonrpc: '2.0', id, error: 'x' },
			{ jsonrpc: '2.0', id: 1, method: 'ping', result: { raw: true } },
			{ jsonrpc: '1.0', id, result: {} },
			{ jsonrpc: '2.0', id: null, result: {} },
			{ jsonrpc: '2.0', id, result: {}, error: { code: 1, message: 'x' } },
		]) {
			statuses.push((await client.post(message)).status);
		}
		expect(statuses).toEqual([202, 202, 202, 202, 202, 400, 400, 400]);
		await client.answer(id, { right: true });
		expect(await resultOf(call)).toBe('[{"right":true}]');
	});
});

describe('an answer', () => {
	it('of more than `maxBodyBytes` is refused with 413, and the request goes on waiting', async () => {
		const call = await client.call('ask', { topics: ['x'] });
		const { id } = await askedOn(call);
		expect((await client.answer(id, { padding: 'x'.repeat(256 * 1024) })).status).toBe(413);
		const large = { padding: 'x'.repeat(1_000_000) };
		expect((await client.answer(id, large, 'roomy')).status).toBe(202);
		expect(await resultOf(call)).toBe(JSON.stringify([large]));
	});

	it('of more than the object keeps is refused with 413, whatever `maxBodyBytes` says', async () => {
		const call = await client.call('ask', { topics: ['x'] });
		const { id } = await askedOn(call);
		const refused = await client.answer(id, { padding: 'x'.repeat(1_900_000) }, 'roomy');
		expect(refused.status).toBe(413);
		expect(await refused.json()).toMatchObject({ error: { data: { maxBytes: 1_900_000 } } });
		await client.answer(id, {});
		expect(await resultOf(call)).toBe('[{}]');
	});
});
