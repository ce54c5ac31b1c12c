import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LIFE } from '../../bench/life.ts';
import { CloseCode } from '../../src/advanced.ts';
import { SessionHomes, type SyncLayer } from '../../src/index.ts';
import { claim, keyOf } from '../support/claims.ts';
import { CostMeter, type Costs } from '../support/costs.ts';
import { Wire } from '../support/socket.ts';

const EVENTS = 500;
const SESSIONS = 300;
const OWNER = 'o'.repeat(43);

let name: string;
let meter: CostMeter;
const object = (): DurableObjectStub<SyncLayer> => env.TMCP_DURABLE_OBJECT.getByName(name);

/** What the work costs. */
async function costs(work: () => unknown): Promise<Costs> {
	meter.reset();
	await work();
	return meter.read(object());
}

/** Nothing but these. */
function exactly(of: Partial<Costs>): Costs {
	const none = { statements: 0, read: 0, written: 0, keysRead: 0, keysWritten: 0, alarms: 0 };
	return { ...none, ...of };
}

const NOTHING = exactly({});

const send = (sessions: string[] | undefined) =>
	object().broadcast(sessions, 'x', { id: crypto.randomUUID() });

async function close(wire: Wire, session: string, code: number): Promise<void> {
	wire.socket.close(code, '');
	await vi.waitFor(async () => expect(await object().has(session)).toBe(false));
}

const sleep = () => evictDurableObject(object(), { webSockets: 'hibernate' });

/** An object with a full life behind it: events that all were handed over, and sessions that are away. */
beforeEach(async () => {
	name = crypto.randomUUID();
	await Wire.open(object(), 'busy');
	await runInDurableObject(object(), (instance, { storage }) => {
		for (let session = 0; session < SESSIONS; session++) instance.begin(`away-${session}`, OWNER);
		for (let event = 0; event < EVENTS; event++) {
			const id = crypto.randomUUID();
			instance.broadcast(event % 2 === 0 ? undefined : ['busy'], `event ${event}`, { id });
		}
		// As if it had happened before: the ids of what was sent in the last minute are read after a wake.
		storage.sql.exec('UPDATE tmcp_events SET at = at - 120_000');
	});
	meter = await CostMeter.watch(object());
});
afterEach(() => void vi.restoreAllMocks());

describe('the life of a session costs', () => {
	it('a row written for its begin', async () => {
		expect(await costs(() => object().begin('new', OWNER))).toEqual(
			exactly({ statements: 2, written: 1 }),
		);
	});

	it('a row read and one more written where the sessions of its owner are counted, and nothing where it is told again', async () => {
		const begin = (session: string) => object().begin(session, OWNER, { account: OWNER });
		for (let session = 0; session < SESSIONS; session++) await begin(`other-${session}`);
		expect(await costs(() => begin('new'))).toEqual(
			exactly({ statements: 4, read: 1, written: 2 }),
		);
		expect(await costs(() => begin('new'))).toEqual(NOTHING);
	});

	it('one row written for the first time that it is admitted and for the stream that follows', async () => {
		await object().begin('new', OWNER);
		expect(await costs(() => object().admit('new', OWNER))).toEqual(NOTHING);
		expect(await costs(() => object().admit('new', OWNER))).toEqual(NOTHING);
		expect(await costs(() => Wire.open(object(), 'new'))).toEqual(
			exactly({ statements: 1, written: 1 }),
		);
		expect(await costs(() => object().admit('new', OWNER))).toEqual(NOTHING);
	});

	it('a row read to admit it where the object has slept, and a row written for the stream that takes over', async () => {
		await object().begin('new', OWNER);
		await object().admit('new', OWNER);
		await Wire.open(object(), 'new');
		await sleep();
		await object().has('new');
		expect(await costs(() => object().admit('new', OWNER))).toEqual(
			exactly({ statements: 1, read: 1 }),
		);
		const { written, statements } = await costs(() => Wire.open(object(), 'new'));
		// One statement looks for what it missed.
		expect({ written, statements }).toEqual({ written: 1, statements: 2 });
	});

	it('a row read and one written for a stream of a session that nobody began', async () => {
		expect(await costs(() => Wire.open(object(), 'new'))).toEqual(
			exactly({ statements: 2, written: 1 }),
		);
	});

	it('the same where its stream is opened with the key of the object, which is read once after a wake', async () => {
		const key = await keyOf(object());
		const open = async (sessionId: string) => {
			(await claim(object(), key, { sessionId })).webSocket?.accept();
		};
		await sleep();
		await object().has('busy');
		expect(await costs(() => open('new'))).toMatchObject({ written: 1, keysRead: 3 });
		expect(await costs(() => open('newer'))).toEqual(exactly({ statements: 2, written: 1 }));
	});

	it('a row written for the close of its stream, and one for its end', async () => {
		const wire = await Wire.open(object(), 'new');
		// Whether the object had lost its streams meanwhile is looked up: one row.
		expect(await costs(() => close(wire, 'new', CloseCode.clientGone))).toEqual(
			exactly({ statements: 2, read: 1, written: 1 }),
		);
		// Whether any server has asked something is looked up once.
		expect(await costs(() => object().end('new'))).toEqual(
			exactly({ statements: 2, read: 1, written: 1 }),
		);
		await close(await Wire.open(object(), 'other'), 'other', CloseCode.clientGone);
		expect(await costs(() => object().end('other'))).toEqual(
			exactly({ statements: 1, written: 1 }),
		);
	});

	it('the same for the close of one that has heard much', async () => {
		const wire = await Wire.open(object(), 'new');
		await runInDurableObject(object(), (instance) => {
			for (let event = 0; event < EVENTS; event++) instance.broadcast(undefined, 'x');
		});
		expect(await costs(() => close(wire, 'new', CloseCode.clientGone))).toEqual(
			exactly({ statements: 2, read: 1, written: 1 }),
		);
	});

	it('a row written for the end of one with a stream', async () => {
		await object().end('first');
		const wire = await Wire.open(object(), 'new');
		expect(
			await costs(async () => {
				await object().end('new');
				await wire.closed;
			}),
		).toEqual(exactly({ statements: 1, written: 1 }));
	});
});

describe('a message costs', () => {
	it.each([
		['to all', undefined],
		['to one', ['busy']],
		['to one that is away', ['away-1']],
	])('one row, %s', async (_, sessions) => {
		await object().broadcast(['away-1'], 'x');
		const { written, read, ...others } = await costs(() => send(sessions));
		expect(written).toBe(1);
		expect(read).toBeLessThanOrEqual(2);
		expect(others.keysRead + others.keysWritten + others.alarms).toBe(0);
	});

	it('nothing where it is repeated', async () => {
		const id = crypto.randomUUID();
		await object().broadcast(undefined, 'x', { id });
		expect(await costs(() => object().broadcast(undefined, 'x', { id }))).toEqual(NOTHING);
	});

	it('one row more for each session that it names first', async () => {
		const { written } = await costs(() => send(['unknown-1', 'unknown-2']));
		expect(written).toBe(1 + 2);
	});
});

it('to ask whether a session has a stream costs nothing', async () => {
	expect(await costs(() => object().has('busy'))).toEqual(NOTHING);
});

describe('an object that wakes', () => {
	it.each(['hibernate', 'close'] as const)(
		'reads two rows and two keys, whatever it knows (sockets: %s)',
		async (webSockets) => {
			await evictDurableObject(object(), { webSockets });
			expect(await costs(() => object().has('busy'))).toEqual(
				exactly({ statements: 2, read: 2, keysRead: 2 }),
			);
		},
	);

	it('reads a dozen rows where all that it keeps of the last minute are the ids', async () => {
		const now = Date.now();
		await runInDurableObject(object(), async (instance, { storage }) => {
			storage.sql.exec('UPDATE tmcp_events SET at = ?', now);
			for (let event = 0; event < 10; event++) instance.broadcast(['busy'], 'x'.repeat(1_900_000));
			const cut = storage.sql.exec("SELECT COUNT(*) AS n FROM tmcp_events WHERE kind = 'cut'");
			expect(cut.one().n).toBeGreaterThanOrEqual(EVENTS);
		});
		const { log } = await object().stats();
		await evictDurableObject(object(), { webSockets: 'close' });
		const { read } = await costs(() => object().has('busy'));
		expect(read).toBeLessThanOrEqual(2 + Math.ceil(Math.log2(EVENTS + 10)));
		expect((await object().stats()).log).toMatchObject({ events: log?.events, bytes: log?.bytes });
	});

	it('reads no more than that, and the ids of a minute, for its first message to all', async () => {
		await sleep();
		// Reading the ids stops at the first event that is older.
		expect(await costs(() => send(undefined))).toEqual(
			exactly({ statements: 4, read: 2 + 2 + 1, written: 1, keysRead: 2 }),
		);
		expect(await costs(() => send(undefined))).toEqual(
			exactly({ statements: 1, read: 1, written: 1 }),
		);
		expect((await object().stats()).log).toMatchObject({ waiting: SESSIONS });
	});
});

it('an alarm reads the sessions once in a while, however often it rings', async () => {
	const ring = () => runInDurableObject(object(), (instance) => instance.alarm());
	expect((await costs(ring)).read).toBeGreaterThan(SESSIONS);
	expect((await costs(ring)).read).toBeLessThan(6);
	await sleep();
	expect((await costs(ring)).read).toBeLessThan(10);
});

it('a stream that comes back reads what was sent since its place', async () => {
	const { log } = await object().attach('busy');
	const { read, written } = await costs(() =>
		Wire.open(object(), 'busy', `${log?.eventIdPrefix}${EVENTS - 20}`),
	);
	expect({ read, written }).toEqual({ read: 20, written: 1 });
});

it('streams and ends cost the same, however many messages wait for one that is away', async () => {
	await close(await Wire.open(object(), 'gone'), 'gone', CloseCode.clientGone);
	await runInDurableObject(object(), (instance) => {
		for (let event = 0; event < EVENTS; event++) instance.broadcast(['busy', 'gone'], 'x');
	});
	expect(await costs(() => Wire.open(object(), 'new'))).toEqual(
		exactly({ statements: 2, written: 1 }),
	);
	expect(await costs(() => object().end('gone'))).toEqual(
		exactly({ statements: 2, read: 1, written: 1 }),
	);
});

it('a session takes about 300 bytes of storage with what its client has said, and 480 with three subscriptions too', async () => {
	const client = {
		clientInfo: { name: 'a client', version: '1.0.0' },
		clientCapabilities: { elicitation: {}, roots: { listChanged: true } },
	};
	const subscriptions = ['a', 'b', 'c'].map((resource) => ({ subscribe: resource.repeat(43) }));
	const homes = new SessionHomes('TMCP_DURABLE_OBJECT');
	const ids = await Promise.all(Array.from({ length: 2_000 }, () => homes.mint('0')));
	const [begun, subscribed] = await runInDurableObject(object(), (instance, { storage }) => {
		const before = storage.sql.databaseSize;
		const bytes = () => (storage.sql.databaseSize - before) / ids.length;
		for (const id of ids) instance.begin(id, OWNER, { info: client });
		const ofBegun = bytes();
		for (const id of ids) instance.inform(id, subscriptions);
		return [ofBegun, bytes()];
	});
	expect(Math.abs(begun / 300 - 1)).toBeLessThan(0.1);
	expect(Math.abs(subscribed / LIFE.storedBytes - 1)).toBeLessThan(0.1);
});
