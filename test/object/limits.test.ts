import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CloseCode, openSocket, type SubscriptionInput } from '../../src/advanced.ts';
import { codeOf } from '../support/codes.ts';
import { CostMeter } from '../support/costs.ts';
import { rewindSchema } from '../support/schemas.ts';
import { Wire } from '../support/socket.ts';

const OWNER = 'o'.repeat(43);
const [ALICE, BOB] = ['a'.repeat(43), 'b'.repeat(43)];

let name: string;
beforeEach(() => {
	name = crypto.randomUUID();
});
afterEach(() => {
	vi.restoreAllMocks();
});
const limited = () => env.LIMITED.getByName(name);
const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);
const beginning = (session: string, account?: string) =>
	codeOf(() => limited().begin(session, OWNER, account === undefined ? {} : { account }));

/** Make it look as if so much time had passed. */
async function pass(of: DurableObjectStub, ms: number): Promise<void> {
	await runInDurableObject(of, (_, { storage }) => {
		storage.sql.exec('UPDATE tmcp_sessions SET expires_at = expires_at - ?', ms);
		storage.sql.exec('UPDATE tmcp_owners SET check_at = check_at - ?', ms);
		storage.kv.delete('tmcp:purged_at');
	});
	// It remembers rows.
	await evictDurableObject(of, { webSockets: 'hibernate' });
}

const tableOf = (of: DurableObjectStub, table: string) =>
	runInDurableObject(of, (_, { storage }) =>
		storage.sql.exec(`SELECT * FROM tmcp_${table}`).toArray(),
	);

describe('the sessions of one owner', () => {
	it('are as many as it may have, and those of others are not counted', async () => {
		expect(await beginning('one', ALICE)).toBeUndefined();
		expect(await beginning('two', ALICE)).toBeUndefined();
		expect(await beginning('three', ALICE)).toBe('OWNER_LIMIT_REACHED');
		expect(await limited().admit('three', OWNER)).toBe(false);
		expect(await beginning('bob', BOB)).toBeUndefined();
		expect(await beginning('nobody')).toBeUndefined();
	});

	it('are named as the limit in the error, with the option that sets it', async () => {
		await runInDurableObject(limited(), (instance) => {
			for (const session of ['one', 'two']) instance.begin(session, OWNER, { account: ALICE });
			expect(() => instance.begin('three', OWNER, { account: ALICE })).toThrow(
				/2 sessions.*maxSessionsPerOwner/,
			);
		});
	});

	it('make room at once when one ends, and when one expires', async () => {
		for (const session of ['one', 'two']) await beginning(session, ALICE);
		expect(await beginning('three', ALICE)).toBe('OWNER_LIMIT_REACHED');
		await limited().end('one');
		expect(await beginning('three', ALICE)).toBeUndefined();
		expect(await beginning('four', ALICE)).toBe('OWNER_LIMIT_REACHED');
		await pass(limited(), 1_000);
		expect(await beginning('four', ALICE)).toBeUndefined();
	});

	it('are counted once each, however often their beginning is told', async () => {
		for (const session of ['one', 'one', 'one', 'two'])
			expect(await beginning(session, ALICE)).toBeUndefined();
		expect(await beginning('three', ALICE)).toBe('OWNER_LIMIT_REACHED');
		await limited().end('one');
		expect(await beginning('one', ALICE)).toBeUndefined();
		expect(await beginning('three', ALICE)).toBe('OWNER_LIMIT_REACHED');
	});

	it('are still counted after the object slept', async () => {
		for (const session of ['one', 'two']) await beginning(session, ALICE);
		await evictDurableObject(limited(), { webSockets: 'close' });
		expect(await beginning('three', ALICE)).toBe('OWNER_LIMIT_REACHED');
	});

	it('do not expire while a stream is open', async () => {
		for (const session of ['one', 'two']) {
			await beginning(session, ALICE);
			await Wire.open(limited(), session);
		}
		await pass(limited(), 30 * 24 * 60 * 60 * 1000);
		expect(await beginning('three', ALICE)).toBe('OWNER_LIMIT_REACHED');
	});

	it('leave nothing of an owner who has none any more', async () => {
		await beginning('one', ALICE);
		await limited().admit('one', OWNER);
		await beginning('two', BOB);
		await pass(limited(), 7 * 24 * 60 * 60 * 1000);
		await runDurableObjectAlarm(limited());
		expect(await tableOf(limited(), 'owners')).toMatchObject([{ account: ALICE, sessions: 'one' }]);
		await pass(limited(), 7 * 24 * 60 * 60 * 1000);
		expect(await runDurableObjectAlarm(limited())).toBe(true);
		expect(await tableOf(limited(), 'owners')).toEqual([]);
		expect(await tableOf(limited(), 'sessions')).toEqual([]);
	});
});

describe('the sessions of an object', () => {
	it('are as many as it takes, and no beginning beyond that changes anything', async () => {
		for (const session of ['1', '2', '3', '4', '5'])
			expect(await beginning(session)).toBeUndefined();
		const meter = await CostMeter.watch(limited());
		for (let flood = 0; flood < 10; flood++)
			expect(await beginning(`flood ${flood}`.replace(' ', '-'), ALICE)).toBe('TOO_MANY_SESSIONS');
		expect(await meter.read(limited())).toMatchObject({ written: 0 });
		expect(await tableOf(limited(), 'owners')).toEqual([]);
		// Those that are known go on, and may be told again.
		expect(await limited().admit('1', OWNER)).toBe(true);
		expect(await beginning('1')).toBeUndefined();
	});

	it('make room when those that never came back have expired, and only those', async () => {
		for (const session of ['1', '2', '3', '4', '5']) await beginning(session);
		await limited().admit('1', OWNER);
		await pass(limited(), 1_000);
		await runDurableObjectAlarm(limited());
		expect(await tableOf(limited(), 'sessions')).toMatchObject([{ session_id: '1' }]);
		expect(await limited().admit('1', OWNER)).toBe(true);
		for (const session of ['6', '7', '8', '9']) expect(await beginning(session)).toBeUndefined();
		expect(await beginning('10')).toBe('TOO_MANY_SESSIONS');
	});

	it('make room soon after they have begun and ended, again and again, without a stream', async () => {
		for (const session of ['1', '2', '3', '4', '5']) {
			await beginning(session);
			await limited().end(session);
		}
		expect(await beginning('6')).toBe('TOO_MANY_SESSIONS');
		await pass(limited(), 1_000);
		await runDurableObjectAlarm(limited());
		for (const session of ['6', '7', '8', '9', '10']) {
			expect(await beginning(session)).toBeUndefined();
		}
	});

	it('that have had a stream are known as ended for longer', async () => {
		await beginning('1');
		const stream = await Wire.open(limited(), '1');
		await limited().end('1');
		await stream.closed;
		await pass(limited(), 1_000);
		await runInDurableObject(limited(), (instance) => instance.alarm());
		expect(await tableOf(limited(), 'sessions')).toMatchObject([{ state: 'ended' }]);
	});

	it('that no gateway began are counted at the next clean-up', async () => {
		for (const session of ['1', '2', '3', '4', '5', '6']) await Wire.open(limited(), session);
		expect(await beginning('7')).toBeUndefined();
		await runInDurableObject(limited(), (instance) => instance.alarm());
		expect(await beginning('8')).toBe('TOO_MANY_SESSIONS');
	});

	it('are counted once from what an earlier version of the library stored', async () => {
		for (const session of ['1', '2', '3']) await beginning(session);
		await runInDurableObject(limited(), (_, { storage }) => {
			rewindSchema(storage, 3);
		});
		await evictDurableObject(limited(), { webSockets: 'close' });
		for (const session of ['4', '5']) expect(await beginning(session)).toBeUndefined();
		expect(await beginning('6')).toBe('TOO_MANY_SESSIONS');
	});
});

describe('a session that never came back after it was begun', () => {
	const expiryOf = async (session: string) => {
		const rows = await tableOf(object(), 'sessions');
		const { expires_at } = rows.find(({ session_id }) => session_id === session) ?? {};
		return Math.round((Number(expires_at) - Date.now()) / 60_000);
	};

	it('expires after ten minutes, also where its beginning is told again, and later once it was admitted', async () => {
		await object().begin('one', OWNER);
		expect(await expiryOf('one')).toBe(10);
		await pass(object(), 300_000);
		await object().begin('one', OWNER);
		expect(await expiryOf('one')).toBe(5);
		expect(await object().admit('one', OWNER)).toBe(true);
		await vi.waitFor(async () => expect(await expiryOf('one')).toBeGreaterThan(7 * 24 * 60));
	});

	it('is unknown then, and its row is deleted soon', async () => {
		await object().begin('one', OWNER);
		await pass(object(), 600_000);
		expect(await object().admit('one', OWNER)).toBe(false);
		const alarm = await runInDurableObject(object(), (_, { storage }) => storage.getAlarm());
		expect(alarm).toBeLessThan(Date.now() + 11 * 60_000);
		await runDurableObjectAlarm(object());
		expect(await tableOf(object(), 'sessions')).toEqual([]);
	});
});

describe('the rows', () => {
	it('of a beginning are few and the same, however many sessions there are; the others cost what they did', async () => {
		await runInDurableObject(object(), (instance) => {
			for (let session = 0; session < 900; session++)
				instance.begin(`session-${session}`, OWNER, { account: ALICE });
		});
		const wire = await Wire.open(object(), 'other');
		const meter = await CostMeter.watch(object());
		const rows = async (work: () => unknown) => {
			meter.reset();
			await work();
			const { read, written } = await meter.read(object());
			return { read, written };
		};
		const sleep = async () => {
			await evictDurableObject(object(), { webSockets: 'hibernate' });
			await object().has('owned');
		};
		expect(await rows(() => object().begin('owned', OWNER, { account: ALICE }))).toEqual({
			read: 1,
			written: 2,
		});
		expect(await rows(() => object().begin('not-owned', OWNER))).toEqual({ read: 0, written: 1 });
		// The first one shows that the session is used, which is written with what follows.
		expect(await rows(() => object().admit('owned', OWNER))).toEqual({ read: 0, written: 0 });
		await object().inform('owned', [{ set: { logLevel: 'info' } }]);
		await sleep();
		expect(await rows(() => object().admit('owned', OWNER))).toEqual({ read: 1, written: 0 });
		await sleep();
		let stream: Wire | undefined;
		const open = async () => void (stream = await Wire.open(object(), 'owned'));
		expect(await rows(open)).toEqual({ read: 1, written: 1 });
		const close = async () => {
			stream?.socket.close(CloseCode.clientGone, '0');
			await vi.waitFor(async () => expect(await object().has('owned')).toBe(false));
		};
		expect(await rows(close)).toMatchObject({ written: 1 });
		expect(await rows(() => object().end('owned'))).toEqual({ read: 1, written: 1 });
		wire.socket.close();
	});

	it('of an owner without room are read once, not for each call of a flood', async () => {
		await runInDurableObject(object(), (instance) => {
			for (let session = 0; session < 1_000; session++)
				instance.begin(`session-${session}`, OWNER, { account: ALICE });
		});
		const meter = await CostMeter.watch(object());
		for (let flood = 0; flood < 20; flood++) {
			const code = await codeOf(() => object().begin(`flood-${flood}`, OWNER, { account: ALICE }));
			expect(code).toBe('OWNER_LIMIT_REACHED');
		}
		const { read, written } = await meter.read(object());
		expect(written).toBe(0);
		// Three for each session, with the list of them.
		expect(read).toBeLessThan(3_100);
	});
});

describe('the listen streams of one owner', () => {
	const to = (): SubscriptionInput => ({
		id: 1,
		origin: crypto.randomUUID(),
		filters: { toolsListChanged: true, resourceSubscriptions: ['a', 'b', 'c', 'd'] },
	});
	async function listen(account: string, subscription = to()) {
		const subscribed = await limited().subscribe(subscription, { account });
		if (subscribed.kind !== 'subscribed') throw new Error(subscribed.kind);
		const socket = await openSocket(limited(), subscribed);
		socket.accept();
		return socket;
	}

	it('are as many as it may have, those that are just opening included, and cost no row', async () => {
		const first = await listen(ALICE);
		const meter = await CostMeter.watch(limited());
		expect(await limited().subscribe(to(), { account: ALICE })).toMatchObject({
			kind: 'subscribed',
		});
		expect(await codeOf(() => limited().subscribe(to(), { account: ALICE }))).toBe(
			'OWNER_LIMIT_REACHED',
		);
		expect(await meter.read(limited())).toMatchObject({ read: 0, written: 0 });
		await listen(BOB);
		expect(await limited().subscribe(to())).toMatchObject({ kind: 'subscribed' });
		first.close(1000, '');
		await vi.waitFor(async () => expect((await limited().stats()).subscriptions).toBe(1));
		await listen(ALICE);
	});

	it('are named as the limit in the error, with the option that sets it', async () => {
		await runInDurableObject(limited(), (instance) => {
			for (const _ of [1, 2]) instance.subscribe(to(), { account: ALICE });
			expect(() => instance.subscribe(to(), { account: ALICE })).toThrow(
				/2 subscriptions.*maxSubscriptionsPerOwner/,
			);
		});
	});

	it('come back to an owner who has as many as it may', async () => {
		const subscription = to();
		const connectionId = crypto.randomUUID();
		await limited().subscribe(subscription, { account: ALICE, connectionId });
		await listen(ALICE);
		expect(await limited().subscribe(subscription, { account: ALICE, connectionId })).toMatchObject(
			{ kind: 'subscribed' },
		);
	});

	it('are still counted after the object slept', async () => {
		for (const _ of [1, 2]) await listen(ALICE);
		await evictDurableObject(limited(), { webSockets: 'hibernate' });
		expect(await codeOf(() => limited().subscribe(to(), { account: ALICE }))).toBe(
			'OWNER_LIMIT_REACHED',
		);
	});
});
