import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CloseCode, decodeFrame, openSocket } from '../../src/advanced.ts';
import type { SyncLayer } from '../../src/index.ts';
import { Wire } from '../support/socket.ts';

/** An object of its own for each test. */
let object: DurableObjectStub<SyncLayer>;
let name: string;

beforeEach(() => {
	name = crypto.randomUUID();
	object = env.TMCP_DURABLE_OBJECT.getByName(name);
});

const again = () => env.TMCP_DURABLE_OBJECT.getByName(name);

/** What a session gets that comes back now, as one that says nothing or that has an event. */
async function comesBack(session: string, lastEventId?: string): Promise<string[]> {
	const wire = await Wire.open(again(), session, lastEventId);
	await again().broadcast([session], 'the end');
	await vi.waitFor(() => expect(wire.received.at(-1)).toBe('the end'));
	wire.socket.close(CloseCode.clientGone, '');
	await vi.waitFor(async () => expect(await again().has(session)).toBe(false));
	return wire.received.slice(0, -1);
}

const rows = (table: string) =>
	runInDurableObject(again(), (_, state) =>
		state.storage.sql.exec(`SELECT * FROM ${table}`).toArray(),
	);

async function leave(wire: Wire, session: string): Promise<void> {
	wire.socket.close();
	await vi.waitFor(async () => expect(await again().has(session)).toBe(false));
}

describe('a session without a stream', () => {
	it('gets what was addressed to it since, by name or to all, in order and once', async () => {
		await leave(await Wire.openAgain(object, 'one'), 'one');
		await Wire.open(object, 'two');
		expect(await object.broadcast(['one'], 'a')).toEqual({ delivered: 0, waiting: 1, missed: 0 });
		expect(await object.broadcast(['two'], 'not for one')).toMatchObject({ delivered: 1 });
		expect(await object.broadcast(undefined, 'b')).toEqual({
			delivered: 1,
			waiting: undefined,
			missed: 0,
		});
		await object.broadcast(['two', 'one', 'three'], 'c');
		expect(await comesBack('one')).toEqual(['a', 'b', 'c']);
		expect(await comesBack('one')).toEqual([]);
	});

	it('gets what was sent after its stream was lost with the object, though it was then detached', async () => {
		await Wire.openAgain(object, 'one');
		await object.broadcast(['one'], 'heard');
		await evictDurableObject(again(), { webSockets: 'close' });
		expect(await again().broadcast(['one'], 'waits')).toMatchObject({ waiting: 1 });
		await again().detach('one');
		expect(await comesBack('one')).toEqual(['waits']);
	});

	it('is named together with more others than one value of SQLite holds', async () => {
		const others = Array.from({ length: 9_000 }, (_, index) => `${index}`.padStart(256, 'x'));
		await Wire.open(object, 'one');
		// So much is sent, but not kept.
		expect(await object.broadcast(['one', ...others], 'x')).toEqual({
			delivered: 1,
			waiting: 0,
			missed: others.length,
		});
	}, 30_000);

	it('begins when it is named for the first time: what comes from then on waits for its first stream', async () => {
		await object.broadcast(['one', 'oneone'], 'early');
		await object.broadcast(undefined, 'to all');
		await object.broadcast(['oneon'], 'for another');
		expect(await comesBack('one')).toEqual(['early', 'to all']);
	});

	it.each([
		['hibernation', () => evictDurableObject(again(), { webSockets: 'hibernate' })],
		[
			'an eviction that closes its sockets',
			() => evictDurableObject(again(), { webSockets: 'close' }),
		],
		['an abort', () => abortAllDurableObjects()],
	])('keeps its place through %s of the object', async (_, interrupt) => {
		const wire = await Wire.openAgain(object, 'one');
		await object.broadcast(['one'], 'seen');
		await vi.waitFor(() => expect(wire.received).toEqual(['seen']));
		await interrupt();
		if (await again().has('one')) await leave(wire, 'one');
		await again().broadcast(['one'], 'waits');
		await interrupt();
		expect(await comesBack('one')).toEqual(['waits']);
	});

	it('leaves nothing to the next one of its id when it ends, and touches no event', async () => {
		const wire = await Wire.open(object, 'one');
		await object.broadcast(['one'], 'secret');
		await object.broadcast(['one', 'two'], 'shared');
		expect(await object.end('one')).toBe(true);
		expect(await wire.closed).toMatchObject({ code: CloseCode.detached });
		expect(await rows('tmcp_events')).toHaveLength(2);
		expect(await rows('tmcp_sessions')).toMatchObject([{ state: 'ended' }, { state: 'begun' }]);
		expect(await comesBack('one')).toEqual([]);
		expect(await comesBack('two')).toEqual(['shared']);
	});

	it.each([
		['with the log', env.TMCP_DURABLE_OBJECT, 1],
		['without it', env.NO_LOG, 0],
	])(
		'gets nothing that is sent after it has ended, until it has a stream again, %s, though the object slept',
		async (_, namespace, waiting) => {
			const here = namespace.getByName(name);
			await Wire.open(here, 'one');
			await here.end('one');
			await evictDurableObject(here, { webSockets: 'close' });
			const missed = { delivered: 0, waiting: 0, missed: 1 };
			expect(await here.broadcast(['one'], 'secret')).toEqual(missed);
			const sessions = ['one', 'two'];
			const [both] = await here.broadcastBatch([{ sessions, data: 'shared' }]);
			expect(both).toEqual({ delivered: 0, waiting, missed: 2 - waiting });
			if (waiting) {
				expect(JSON.stringify(await rows('tmcp_events'))).not.toMatch(/secret|one/);
			}
			const wire = await Wire.open(here, 'one');
			expect(await here.broadcast(['one'], 'hello')).toMatchObject({ delivered: 1, missed: 0 });
			await vi.waitFor(() => expect(wire.received).toEqual(['hello']));
		},
	);
});

describe('an event id', () => {
	async function idOf(seq: number): Promise<string> {
		const { log } = await object.attach('somebody');
		return `${log?.eventIdPrefix}${seq}`;
	}

	it('resumes exactly there, whatever the session was served since', async () => {
		await leave(await Wire.open(object, 'one'), 'one');
		for (const data of ['a', 'b', 'c']) await object.broadcast(['one'], data);
		expect(await comesBack('one', await idOf(1))).toEqual(['b', 'c']);
		expect(await comesBack('one', await idOf(2))).toEqual(['c', 'the end']);
		expect(await comesBack('one')).toEqual([]);
	});

	it.each([
		['another epoch', (id: string) => id.replace(/\.\w+\./, '.00000000.')],
		['another shard', (id: string) => `1${id.slice(1)}`],
		['a place that was never given out', (id: string) => `${id}000`],
		['nonsense', () => 'nonsense'],
		['nothing', () => ''],
	])('of %s is unknown: nothing wrong is replayed, and the caller is told', async (_, spoil) => {
		await leave(await Wire.open(object, 'one'), 'one');
		await object.broadcast(['two'], 'for another');
		await object.broadcast(['one'], 'waits');
		const lastEventId = spoil(await idOf(1));
		expect((await object.attach('one', { lastEventId })).log).toMatchObject({ recovered: false });
		expect(await comesBack('one', lastEventId)).toEqual(['waits']);
		expect((await object.stats()).log?.gaps).toBe(1);
	});

	it('that is known is recovered', async () => {
		await object.broadcast(['one'], 'a');
		expect((await object.attach('one', { lastEventId: await idOf(1) })).log).toMatchObject({
			after: 1,
			recovered: true,
		});
	});
});

describe('a broadcast that is repeated with its id', () => {
	it.each([
		['at once', () => Promise.resolve()],
		['after the object was replaced', () => evictDurableObject(again(), { webSockets: 'close' })],
	])('%s is appended once', async (_, interrupt) => {
		const id = crypto.randomUUID();
		await object.broadcast(['one'], 'a', { id });
		await interrupt();
		expect(await again().broadcast(['one'], 'a', { id })).toEqual({
			delivered: 0,
			waiting: 0,
			missed: 0,
			duplicate: true,
		});
		expect(await comesBack('one')).toEqual(['a']);
	});

	it.each([
		['where nothing is kept', env.NO_LOG, 'x'],
		['where it is too large to be kept', env.TMCP_DURABLE_OBJECT, 'x'.repeat(2_000_000)],
	])('%s is sent once, alone and with others', async (_, namespace, data) => {
		const here = namespace.getByName(name);
		const wire = await Wire.open(here, 'one');
		const [alone, first, second] = [1, 2, 3].map(() => crypto.randomUUID());
		const sessions = ['one'];
		for (let round = 0; round < 2; round++) {
			await here.broadcast(sessions, data, { id: alone });
			await here.broadcastBatch([
				{ sessions, data, id: alone },
				{ sessions, data, id: first },
				{ sessions, data: 'small', id: second },
				{ sessions, data, id: first },
			]);
		}
		await here.broadcast(sessions, 'the end');
		await vi.waitFor(() => expect(wire.received.at(-1)).toBe('the end'));
		const lengths = wire.received.map(({ length }) => length);
		expect(lengths).toEqual([data.length, data.length, 5, 7]);
	});
});

describe('the log', () => {
	it('has one row for a broadcast, however many get it', async () => {
		for (const session of ['a', 'b', 'c']) await Wire.open(object, session);
		await object.broadcast(undefined, 'x');
		await object.broadcast(['a', 'b', 'c', 'd'], 'y');
		expect(await rows('tmcp_events')).toHaveLength(2);
		expect((await object.stats()).log).toMatchObject({ events: 2 });
	});

	it('does not keep a payload over 2 MB, and says that it was missed, to both sides', async () => {
		const wire = await Wire.open(object, 'one');
		const data = 'x'.repeat(2_000_000);
		expect(await object.broadcast(['one', 'two'], data)).toEqual({
			delivered: 1,
			waiting: 0,
			missed: 1,
		});
		await vi.waitFor(() => expect(wire.received).toEqual([data]));
		expect(await rows('tmcp_events')).toMatchObject([{ data: null }]);
		expect((await object.stats()).log).toMatchObject({ gaps: 0 });
		const two = await Wire.open(object, 'two');
		await object.broadcast(['two'], 'next');
		await vi.waitFor(() => expect(two.received).toEqual(['next']));
		expect((await object.stats()).log).toMatchObject({ gaps: 1 });
	});

	it('says that a payload over 2 MB was missed by one who was away, and says it once', async () => {
		await leave(await Wire.openAgain(object, 'one'), 'one');
		await object.broadcast(['one'], 'before');
		await object.broadcast(['one'], 'x'.repeat(2_000_000));
		await object.broadcast(['one'], 'after');
		expect(await comesBack('one')).toEqual(['before', 'after']);
		expect((await object.stats()).log).toMatchObject({ gaps: 1 });
		expect(await comesBack('one')).toEqual([]);
		expect((await object.stats()).log).toMatchObject({ gaps: 1 });
	});

	it('that no longer reaches back says so', async () => {
		const small = env.SHORT_LOG.getByName(name);
		const wire = await Wire.open(small, 'one');
		wire.socket.close();
		await vi.waitFor(async () => expect(await small.has('one')).toBe(false));
		for (const data of ['a', 'b', 'c', 'd', 'e']) await small.broadcast(['one'], data);
		expect((await small.stats()).log).toMatchObject({ events: 3, gaps: 0 });
		expect((await small.attach('one')).log).toMatchObject({ recovered: false });
		const back = await Wire.open(small, 'one');
		await vi.waitFor(() => expect(back.received).toEqual(['c', 'd', 'e']));
		expect((await small.stats()).log).toMatchObject({ gaps: 1 });
	});

	it('tells a session before its first stream that something for it was cut, and tells no other', async () => {
		const small = env.SHORT_LOG.getByName(name);
		await small.broadcast(['one', 'two'], 'early');
		for (const data of ['a', 'b', 'c']) await small.broadcast(['two'], data);
		expect((await small.attach('one')).log).toMatchObject({ recovered: false });
		expect((await small.attach('three')).log).toMatchObject({ recovered: true });
		const two = await Wire.open(small, 'two');
		await vi.waitFor(() => expect(two.received).toEqual(['a', 'b', 'c']));
		expect((await small.stats()).log).toMatchObject({ gaps: 1 });
	});

	it('is purged by alarms, few of them, and there is none where nothing is left to purge', async () => {
		const small = env.FORGETFUL.getByName(name);
		const alarm = () => runInDurableObject(small, (_, state) => state.storage.getAlarm());
		await small.broadcast(undefined, 'a');
		expect(await alarm()).toBeNull();
		const before = Date.now();
		await small.broadcast(['one'], 'b');
		await vi.waitFor(async () => expect(await alarm()).toBeGreaterThanOrEqual(before + 1_050));
		await small.broadcast(undefined, 'c');
		await vi.waitFor(
			async () => {
				expect(await alarm()).toBeNull();
				expect((await small.stats()).log).toEqual({ events: 1, bytes: 1, waiting: 0, gaps: 0 });
			},
			{ timeout: 6_000, interval: 100 },
		);
		expect(Date.now() - before).toBeGreaterThan(1_000);
	});

	it('that is switched off costs nothing, and keeps nothing', async () => {
		const off = env.NO_LOG.getByName(name);
		expect((await off.attach('one')).log).toBeUndefined();
		const wire = await Wire.open(off, 'one');
		expect(await off.broadcast(['one', 'two'], 'x')).toEqual({
			delivered: 1,
			waiting: 0,
			missed: 1,
		});
		await vi.waitFor(() => expect(wire.received).toEqual(['x']));
		expect((await off.stats()).log).toBeUndefined();
		await runInDurableObject(off, (_, state) => {
			expect(
				state.storage.sql
					.exec('SELECT session_id FROM tmcp_sessions UNION ALL SELECT seq FROM tmcp_events')
					.toArray(),
			).toEqual([]);
		});
	});
});

describe('a session that ended and began again', () => {
	it('is waited for', async () => {
		const [owner, sent] = ['o'.repeat(43), { delivered: 0, waiting: 1, missed: 0 }];
		await object.begin('one', owner);
		await object.end('one');
		await object.begin('one', owner);
		expect(await object.broadcast(['one'], 'x')).toEqual(sent);
	});
});

describe('a session that began before its first stream', () => {
	it('gets what was sent since to all, too', async () => {
		await object.broadcast(undefined, 'before');
		await object.broadcast(['one'], 'early');
		await object.begin('one', 'o'.repeat(43));
		await object.broadcast(undefined, 'to all');
		await object.broadcast(['one'], 'to it');
		await object.broadcast(['two'], 'to another');
		expect(await comesBack('one')).toEqual(['early', 'to all', 'to it']);
		// Once more, because the first stream may have died unread.
		expect(await comesBack('one')).toEqual(['early', 'to all', 'to it', 'the end']);
	});
});

describe('a connection whose socket was lost before it was told of it', () => {
	it.each([
		['for the first time', () => Promise.resolve(), ['seen', 'waits']],
		[
			'once it has been here before',
			async () => leave(await Wire.openAgain(object, 'one'), 'one'),
			['waits'],
		],
	])('gets on the next one what was handed to the lost one, %s', async (_, before, kept) => {
		await object.broadcast(['one'], 'seen');
		await before();
		await again().broadcast(['one'], 'waits');
		const connectionId = crypto.randomUUID();
		await openSocket(again(), await again().attach('one', { connectionId }));
		await abortAllDurableObjects();
		const socket = await openSocket(again(), await again().attach('one', { connectionId }));
		const received: string[] = [];
		socket.addEventListener('message', ({ data }) => {
			received.push(...[decodeFrame(data)?.data ?? ''].filter((text) => text !== ''));
		});
		socket.accept();
		await vi.waitFor(() => expect(received).toEqual(kept));
	});
});

describe('a connection that comes back while its old socket still looks open', () => {
	it('is served on the new one, and the late end of the old one changes nothing', async () => {
		const connectionId = crypto.randomUUID();
		const attach = async (resume: boolean) =>
			openSocket(object, await object.attach('one', { connectionId, resume }));
		const old = await attach(false);
		old.accept();
		(await attach(true)).accept();
		await vi.waitFor(async () =>
			expect(await object.stats()).toMatchObject({ streams: 1, log: { waiting: 0 } }),
		);
		old.close();
		await scheduler.wait(50);
		expect(await object.stats()).toMatchObject({ streams: 1, log: { waiting: 0 } });
	});
});
