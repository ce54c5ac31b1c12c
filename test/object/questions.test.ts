import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SyncLayer } from '../../src/index.ts';
import { CloseCode } from '../../src/wire/close-codes.ts';
import { decodeFrame } from '../../src/wire/frames.ts';
import { MAX_ANSWER_BYTES, MAX_ASKERS, MAX_QUESTIONS_PER_SESSION } from '../../src/wire/limits.ts';
import { formatWireId } from '../../src/wire/wire-id.ts';
import { openAsker } from '../../src/worker/connection/open-socket.ts';
import { codeOf } from '../support/codes.ts';
import { CostMeter } from '../support/costs.ts';

const ALICE = 'a'.repeat(43);
const BOB = 'b'.repeat(43);
const MINUTE_MS = 60_000;
/** How long an answer waits for whoever asked. */
const COMEBACK_LIMIT_MS = 10_000;

let name: string;
const object = (): DurableObjectStub<SyncLayer> => env.TMCP_DURABLE_OBJECT.getByName(name);

beforeEach(async () => {
	name = crypto.randomUUID();
	await object().begin('alice', ALICE);
	await object().begin('bob', BOB);
});
afterEach(() => void vi.restoreAllMocks());

/** Who asks one question, and the answers that come to it. */
class TestAsker {
	readonly connectionId = crypto.randomUUID();
	readonly questionId = crypto.randomUUID();
	readonly id = formatWireId(this);
	readonly received: unknown[] = [];
	closed: Promise<number> = Promise.resolve(0);
	socket: WebSocket | undefined;

	async open(timeout = MINUTE_MS, session = 'alice', owner = ALICE): Promise<this> {
		const questions = [{ id: this.questionId, timeout }];
		const { socket } = await openAsker(object(), session, owner, questions, this.connectionId);
		socket.addEventListener('message', ({ data }) => {
			this.received.push(JSON.parse(decodeFrame(data)?.data ?? 'null'));
		});
		this.closed = new Promise((resolve) => {
			socket.addEventListener('close', ({ code }) => resolve(code));
		});
		socket.accept();
		this.socket = socket;
		return this;
	}
}

async function receives({ received }: TestAsker, ...answers: unknown[]): Promise<void> {
	await vi.waitFor(() => expect(received).toEqual(answers));
}

const asking = (...args: Parameters<TestAsker['open']>) => new TestAsker().open(...args);

const answer = (id: string | number, result: object = {}, session = 'alice', owner = ALICE) =>
	object().answer(session, owner, id, JSON.stringify({ jsonrpc: '2.0', id, result }));

const rows = () =>
	runInDurableObject(object(), (_, { storage }) =>
		storage.sql.exec('SELECT * FROM tmcp_questions').toArray(),
	);

describe('an answer', () => {
	it('is handed down to the one who asked', async () => {
		const [one, two] = [await asking(), await asking()];
		expect(await answer(two.id, { is: 'two' })).toBe('taken');
		expect(await answer(one.id, { is: 'one' })).toBe('taken');
		await receives(one, { jsonrpc: '2.0', id: one.id, result: { is: 'one' } });
		await receives(two, { jsonrpc: '2.0', id: two.id, result: { is: 'two' } });
	});

	it('is the first one', async () => {
		const asker = await asking();
		expect(await answer(asker.id, { nth: 1 })).toBe('taken');
		expect(await answer(asker.id, { nth: 2 })).toBe('ignored');
		await receives(asker, { jsonrpc: '2.0', id: asker.id, result: { nth: 1 } });
	});

	it('wakes an object that hibernates', async () => {
		const asker = await asking();
		await evictDurableObject(object(), { webSockets: 'hibernate' });
		expect(await answer(asker.id)).toBe('taken');
		await receives(asker, { jsonrpc: '2.0', id: asker.id, result: {} });
	});

	it('of another session or another owner, to a number, or to nothing, is ignored', async () => {
		const asker = await asking();
		const outcomes = await Promise.all([
			answer(asker.id, {}, 'bob', BOB),
			answer(asker.id, {}, 'alice', BOB),
			answer(asker.id, {}, 'bob', ALICE),
			answer(1),
			answer(asker.id.toUpperCase()),
			answer(`${asker.id} `),
			answer(asker.connectionId),
			answer(formatWireId({ connectionId: asker.connectionId, questionId: crypto.randomUUID() })),
			answer(formatWireId({ connectionId: crypto.randomUUID(), questionId: asker.questionId })),
		]);
		expect(new Set(outcomes)).toEqual(new Set(['ignored']));
		expect(asker.received).toEqual([]);
		expect(await answer(asker.id)).toBe('taken');
	});

	it('that is late is ignored', async () => {
		const asker = await asking(1);
		await scheduler.wait(5);
		expect(await answer(asker.id)).toBe('ignored');
	});

	it('waits for a connection that has no socket, and is handed down when it is back', async () => {
		const asker = await asking();
		await evictDurableObject(object(), { webSockets: 'close' });
		await asker.closed;
		const outcome = answer(asker.id, { was: 'kept' });
		await scheduler.wait(20);
		await asker.open();
		expect(await outcome).toBe('taken');
		await receives(asker, { jsonrpc: '2.0', id: asker.id, result: { was: 'kept' } });
	});

	it('is handed down again where the socket broke before its connection was done', async () => {
		const asker = await asking();
		await answer(asker.id);
		await evictDurableObject(object(), { webSockets: 'close' });
		await asker.closed;
		await asker.open();
		const same = { jsonrpc: '2.0', id: asker.id, result: {} };
		await receives(asker, same, same);
	});

	it('to somebody who does not come back is lost, and both are told', async () => {
		const asker = await asking();
		await evictDurableObject(object(), { webSockets: 'close' });
		await asker.closed;
		expect(await answer(asker.id)).toBe('lost');
		await asker.open();
		await receives(
			asker,
			expect.objectContaining({ id: asker.id, error: expect.objectContaining({ code: -32000 }) }),
		);
	}, 20_000);

	it('that waits shares its timer with all others that do', async () => {
		const askers = await Promise.all([asking(), asking(), asking()]);
		await evictDurableObject(object(), { webSockets: 'close' });
		await Promise.all(askers.map(({ closed }) => closed));
		const setTimer = vi.spyOn(globalThis, 'setTimeout');
		const outcomes = askers.map(({ id }) => answer(id));
		// They have arrived when a call that was made later is answered.
		await object().has('alice');
		expect(setTimer.mock.calls.filter(([, ms]) => ms === COMEBACK_LIMIT_MS)).toHaveLength(1);
		await Promise.all(askers.map((asker) => asker.open()));
		expect(await Promise.all(outcomes)).toEqual(['taken', 'taken', 'taken']);
	});

	it('may be as long as a row takes, and no longer', async () => {
		const asker = await asking();
		const padding = 'é'.repeat((MAX_ANSWER_BYTES - 200) / 2);
		expect(await codeOf(() => answer(asker.id, { padding: padding.repeat(2) }))).toBe(
			'PAYLOAD_TOO_LARGE',
		);
		expect(await answer(asker.id, { padding })).toBe('taken');
	});
});

describe('nothing is left of a question', () => {
	it('whose connection is done', async () => {
		const asker = await asking();
		await answer(asker.id);
		expect(await rows()).toHaveLength(1);
		asker.socket?.close(CloseCode.answered, '');
		await vi.waitFor(async () => expect(await rows()).toEqual([]));
	});

	it.each([
		['', () => {}, () => {}],
		['after the object has slept', () => {}, () => evictDurableObject(object())],
		[
			'after another session ended without any question, and after an alarm',
			async () => {
				await object().end('another');
				await asking(1);
				await scheduler.wait(5);
				await vi.waitFor(async () => expect(await runDurableObjectAlarm(object())).toBe(true));
				expect(await rows()).toEqual([]);
			},
			() => {},
		],
	])('whose session has ended %s: its socket is closed, and it cannot come back', async (...of) => {
		const [, before, meanwhile] = of;
		await before();
		const asker = await asking();
		const other = await asking(MINUTE_MS, 'bob', BOB);
		await meanwhile();
		await object().end('alice');
		expect(await asker.closed).toBe(CloseCode.detached);
		expect(await rows()).toHaveLength(1);
		expect(await codeOf(() => asker.open())).toBe('STREAM_DETACHED');
		expect(await answer(asker.id)).toBe('ignored');
		expect(await answer(other.id, {}, 'bob', BOB)).toBe('taken');
	});

	it('that expired, after an alarm', async () => {
		const asker = await asking(1);
		asker.socket?.close(CloseCode.clientGone, '');
		await scheduler.wait(5);
		expect(await rows()).toHaveLength(1);
		await vi.waitFor(async () => expect(await runDurableObjectAlarm(object())).toBe(true));
		expect(await rows()).toEqual([]);
	});

	it('but a socket that was lost leaves it: the connection may come back', async () => {
		const asker = await asking();
		asker.socket?.close(CloseCode.clientGone, '');
		await asker.closed;
		expect(await rows()).toHaveLength(1);
	});
});

describe('asking', () => {
	it('is refused to a session that is another owner’s, or none', async () => {
		expect(await codeOf(() => asking(MINUTE_MS, 'alice', BOB))).toBe('STREAM_DETACHED');
		expect(await codeOf(() => asking(MINUTE_MS, 'nobody', ALICE))).toBe('STREAM_DETACHED');
		expect(await rows()).toEqual([]);
	});

	it('is refused where 100 questions wait in the session, and takes none then', async () => {
		const ask = (count: number) =>
			object().ask(
				'alice',
				ALICE,
				Array.from({ length: count }, () => ({ id: crypto.randomUUID(), timeout: MINUTE_MS })),
				{ connectionId: crypto.randomUUID() },
			);
		expect(await codeOf(() => ask(MAX_QUESTIONS_PER_SESSION + 1))).toBe('TOO_MANY_QUESTIONS');
		await ask(MAX_QUESTIONS_PER_SESSION - 1);
		expect(await codeOf(() => ask(2))).toBe('TOO_MANY_QUESTIONS');
		expect(await rows()).toHaveLength(MAX_QUESTIONS_PER_SESSION - 1);
		await ask(1);
		expect(await codeOf(() => ask(1))).toBe('TOO_MANY_QUESTIONS');
	});

	it('is refused where as many calls wait in the object as may, and goes on where some have ended', async () => {
		await evictDurableObject(object(), { webSockets: 'hibernate' });
		let waiting = MAX_ASKERS;
		await runInDurableObject(object(), (instance) => {
			const context = Reflect.get(instance, 'ctx');
			const original = context.getWebSockets.bind(context);
			vi.spyOn(Object.getPrototypeOf(context), 'getWebSockets').mockImplementation((tag) =>
				tag === 'kind asker' ? Array.from({ length: waiting }) : original(tag),
			);
		});
		expect(await codeOf(() => asking())).toBe('TOO_MANY_QUESTIONS');
		expect(await rows()).toEqual([]);
		waiting--;
		await asking();
		expect(await rows()).toHaveLength(1);
	});

	it('changes nothing where it is repeated', async () => {
		const asker = await asking();
		await answer(asker.id);
		const questions = [{ id: asker.questionId, timeout: 2 * MINUTE_MS }];
		const before = await rows();
		await object().ask('alice', ALICE, questions, { connectionId: asker.connectionId });
		expect(await rows()).toEqual(before);
	});

	it.each([
		['no questions', () => object().ask('alice', ALICE, [], { connectionId: name })],
		[
			'an id that is no UUID',
			() => object().ask('alice', ALICE, [{ id: '1', timeout: 1 }], { connectionId: name }),
		],
		[
			'no time',
			() => object().ask('alice', ALICE, [{ id: name, timeout: 0 }], { connectionId: name }),
		],
		[
			'more than a day',
			() =>
				object().ask('alice', ALICE, [{ id: name, timeout: 86_400_001 }], { connectionId: name }),
		],
		[
			'a connection that is no UUID',
			() => object().ask('alice', ALICE, [{ id: name, timeout: 1 }], { connectionId: '1' }),
		],
	])('is refused with %s', async (_, ask) => {
		expect(await codeOf(async () => ask())).toBe('INVALID_ARGUMENT');
	});

	it('needs SQLite', async () => {
		const legacy = env.LEGACY_SYNC_LAYER.getByName(name);
		const questions = [{ id: name, timeout: 1 }];
		expect(
			await codeOf(async () => legacy.ask('alice', ALICE, questions, { connectionId: name })),
		).toBe('SQLITE_MISSING');
		expect(await codeOf(async () => legacy.answer('alice', ALICE, 1, '{}'))).toBe('SQLITE_MISSING');
	});
});

it('a question costs three rows: one asked, one answered, one done', async () => {
	const meter = await CostMeter.watch(object());
	const written = async (work: () => Promise<unknown>) => {
		meter.reset();
		await work();
		const { written: rowsWritten, alarms } = await meter.read(object());
		return { rowsWritten, alarms };
	};
	const asker = new TestAsker();
	// The POST on which it is asked was admitted before. An alarm that is early enough is set already.
	await object().admit('alice', ALICE);
	expect(await written(() => asker.open())).toEqual({ rowsWritten: 1, alarms: 0 });
	expect(await written(() => answer(asker.id))).toEqual({ rowsWritten: 1, alarms: 0 });
	expect(
		await written(async () => {
			asker.socket?.close(CloseCode.answered, '');
			await vi.waitFor(async () => expect(await rows()).toEqual([]));
		}),
	).toEqual({ rowsWritten: 1, alarms: 0 });
	expect(await written(() => asking())).toEqual({ rowsWritten: 1, alarms: 0 });
});
