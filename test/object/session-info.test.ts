import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SyncLayer } from '../../src/index.ts';
import { MAX_SESSION_INFO_BYTES } from '../../src/wire/limits.ts';
import { hash } from '../../src/worker/hash.ts';
import { codeOf } from '../support/codes.ts';
import { CostMeter, type Costs } from '../support/costs.ts';
import { Wire } from '../support/socket.ts';

const OWNER = 'o'.repeat(43);
const CLIENT = { name: 'client', version: '1' };

let name: string;
const object = (): DurableObjectStub<SyncLayer> => env.TMCP_DURABLE_OBJECT.getByName(name);
const send = (resource: string) =>
	object().broadcast([], 'x', { resource, id: crypto.randomUUID() });
const infoOf = async (session: string): Promise<unknown> =>
	JSON.parse((await object().infoOf(session)) ?? 'null');
const subscribed = () =>
	runInDurableObject(
		object(),
		(_, { storage }) =>
			storage.sql
				.exec<{ n: number }>('SELECT COUNT(*) AS n FROM tmcp_sessions WHERE resources IS NOT NULL')
				.one().n,
	);

beforeEach(() => void (name = crypto.randomUUID()));
afterEach(() => void vi.restoreAllMocks());

describe('what is known of a session', () => {
	it('outlives the object’s sleep, and its streams', async () => {
		await object().begin('session', OWNER, { info: { clientInfo: CLIENT } });
		await object().inform('session', [{ set: { logLevel: 'alert' } }]);
		const wire = await Wire.open(object(), 'session');
		await evictDurableObject(object(), { webSockets: 'close' });
		wire.socket.close();
		await object().detach('session');
		expect(await infoOf('session')).toEqual({ clientInfo: CLIENT, logLevel: 'alert' });
		expect(await object().admitWithInfo('session', OWNER)).toEqual({
			info: await object().infoOf('session'),
		});
	});

	it('is told to nobody but the owner of a session', async () => {
		await object().begin('session', OWNER, { info: { clientInfo: CLIENT } });
		expect(await object().admitWithInfo('session', 'x'.repeat(43))).toBeUndefined();
		expect(await object().admitWithInfo('unknown', OWNER)).toBeUndefined();
	});

	it('is nothing where nothing was told, and something where it was told and forgotten', async () => {
		await object().begin('session', OWNER);
		expect(await object().infoOf('session')).toBeUndefined();
		await object().inform('session', [{ set: { logLevel: 'info' } }]);
		await object().inform('session', [{ set: { logLevel: null } }]);
		expect(await infoOf('session')).toEqual({});
	});

	it('goes with the session', async () => {
		const resource = await hash('memo://a');
		await object().begin('session', OWNER, { info: { clientInfo: CLIENT } });
		await object().inform('session', [{ subscribe: resource }]);
		await object().end('session');
		expect(await object().infoOf('session')).toBeUndefined();
		expect(await subscribed()).toBe(0);
		await object().inform('session', [{ set: { logLevel: 'info' } }, { subscribe: resource }]);
		expect(await object().infoOf('session')).toBeUndefined();
		expect(await object().subscribersOf(resource)).toEqual([]);
		await object().begin('session', OWNER);
		expect(await object().infoOf('session')).toBeUndefined();
	});

	it('goes when the session expires, and is not that of the next one of its id', async () => {
		const resource = await hash('memo://a');
		for (const session of ['one', 'two', 'three']) {
			await object().begin(session, OWNER, { info: { clientInfo: CLIENT } });
			await object().inform(session, [{ subscribe: resource }]);
		}
		await runInDurableObject(object(), (_, { storage }) => {
			storage.sql.exec("UPDATE tmcp_sessions SET expires_at = 1 WHERE session_id <> 'three'");
		});
		await evictDurableObject(object());
		expect(await object().subscribersOf(resource)).toEqual(['three']);
		expect(await object().infoOf('one')).toBeUndefined();
		await object().begin('one', OWNER);
		expect(await object().infoOf('one')).toBeUndefined();
		expect(await object().subscribersOf(resource)).toEqual(['three']);
		await runInDurableObject(object(), (instance) => instance.alarm());
		expect(await subscribed()).toBe(1);
	});

	it('begins a session that nobody began, which lives on by being asked for', async () => {
		await object().inform('session', [{ set: { clientInfo: CLIENT } }]);
		expect(await infoOf('session')).toEqual({ clientInfo: CLIENT });
		await object().begin('session', OWNER);
		expect(await object().admit('session', OWNER)).toBe(true);
		expect(await infoOf('session')).toEqual({ clientInfo: CLIENT });
	});

	it('is left as it is by a message that names the session, and lets it live on', async () => {
		await object().inform('session', [{ set: { clientInfo: CLIENT } }]);
		await runInDurableObject(object(), (_, { storage }) => {
			storage.sql.exec('UPDATE tmcp_sessions SET expires_at = ?', Date.now() + 60_000);
		});
		await evictDurableObject(object());
		await object().broadcast(['session', 'other'], 'x');
		await evictDurableObject(object());
		expect(await infoOf('session')).toEqual({ clientInfo: CLIENT });
	});

	it('is what the client tells when it initialises once more', async () => {
		const again = { ...CLIENT, version: '2' };
		await object().begin('session', OWNER, { info: { clientInfo: CLIENT } });
		await object().begin('session', OWNER, { info: { clientInfo: again } });
		expect(await infoOf('session')).toEqual({ clientInfo: again });
	});

	it('is kept while its stream is open, however long ago the client sent anything', async () => {
		await object().begin('session', OWNER, { info: { clientInfo: CLIENT } });
		await object().inform('session', [{ subscribe: await hash('memo://a') }]);
		await Wire.open(object(), 'session');
		await runInDurableObject(object(), (_, { storage }) => {
			storage.sql.exec('UPDATE tmcp_sessions SET expires_at = 1');
		});
		await evictDurableObject(object(), { webSockets: 'hibernate' });
		await runInDurableObject(object(), (instance) => instance.alarm());
		expect(await infoOf('session')).toEqual({ clientInfo: CLIENT });
		expect(await send(await hash('memo://a'))).toMatchObject({ delivered: 1 });
	});

	it('is kept where the log is switched off', async () => {
		const unlogged = env.NO_LOG.getByName(name);
		await unlogged.inform('session', [{ set: { clientInfo: CLIENT } }]);
		await unlogged.detach('session');
		const wire = await Wire.open(unlogged, 'session');
		wire.socket.close();
		await evictDurableObject(unlogged, { webSockets: 'close' });
		expect(JSON.parse((await unlogged.infoOf('session')) ?? '')).toEqual({ clientInfo: CLIENT });
	});

	it.each([
		['an array in the place of an object', { clientCapabilities: { roots: [] } }],
		['a log level that there is not', { logLevel: 'loud' }],
		['client info without a name', { clientInfo: { version: '1' } }],
		['something else', { password: 'x' }],
	])('is never %s', async (_, set) => {
		const inform = () => object().inform('session', [{ set: set as never }]);
		expect(await codeOf(inform)).toBe('INVALID_ARGUMENT');
		expect(await object().infoOf('session')).toBeUndefined();
	});

	it('is bounded, and unchanged where it would be more', async () => {
		await object().inform('session', [{ set: { clientInfo: CLIENT } }]);
		const large = { ...CLIENT, title: 'x'.repeat(MAX_SESSION_INFO_BYTES) };
		const resource = await hash('memo://a');
		const inform = () =>
			object().inform('session', [{ subscribe: resource }, { set: { clientInfo: large } }]);
		expect(await codeOf(inform)).toBe('PAYLOAD_TOO_LARGE');
		expect(await infoOf('session')).toEqual({ clientInfo: CLIENT });
		expect(await object().subscribersOf(resource)).toEqual([]);
	});

	it('needs a class with SQLite', async () => {
		const legacy = env.LEGACY_SYNC_LAYER.getByName(name);
		expect(await codeOf(() => legacy.infoOf('session'))).toBe('SQLITE_MISSING');
		expect(await codeOf(() => legacy.inform('session', []))).toBe('SQLITE_MISSING');
	});
});

describe('the subscribers of a resource', () => {
	it('get what is sent to it, now or when they are back', async () => {
		const [resource, other] = [await hash('memo://a'), await hash('memo://b')];
		for (const session of ['here', 'away', 'gone', 'elsewhere']) {
			await object().begin(session, OWNER);
			await object().inform(session, [{ subscribe: session === 'elsewhere' ? other : resource }]);
		}
		await object().inform('gone', [{ unsubscribe: resource }]);
		const here = await Wire.open(object(), 'here');
		const elsewhere = await Wire.open(object(), 'elsewhere');
		expect(await send(resource)).toEqual({ delivered: 1, waiting: 1, missed: 0 });
		const away = await Wire.open(object(), 'away');
		await vi.waitFor(() => expect([here.received, away.received]).toEqual([['x'], ['x']]));
		expect(elsewhere.received).toEqual([]);
	});

	it('are as many as one session may have resources', async () => {
		const limited = env.LIMITED.getByName(name);
		const [first = '', ...others] = await Promise.all(['a', 'b', 'c', 'd'].map(hash));
		await limited.inform('session', [{ subscribe: first }]);
		const inform = () =>
			limited.inform(
				'session',
				others.map((subscribe) => ({ subscribe })),
			);
		expect(await codeOf(inform)).toBe('TOO_MANY_RESOURCES');
		expect(await limited.subscribersOf(others[0] ?? '')).toEqual([]);
		// One that it has already takes no room.
		await limited.inform('session', [{ subscribe: first }]);
		expect(await limited.subscribersOf(first)).toEqual(['session']);
	});

	it('cannot be mixed up with all sessions, nor with some', async () => {
		const resource = await hash('memo://a');
		for (const sessions of [undefined, ['session']]) {
			const broadcast = () => object().broadcast(sessions, 'x', { resource });
			expect(await codeOf(broadcast)).toBe('INVALID_ARGUMENT');
		}
	});

	it('do not live on by what is sent to them', async () => {
		const resource = await hash('memo://a');
		await object().inform('session', [{ subscribe: resource }]);
		const soon = Date.now() + 60_000;
		await runInDurableObject(object(), (_, { storage }) => {
			storage.sql.exec('UPDATE tmcp_sessions SET expires_at = ?', soon);
		});
		await evictDurableObject(object());
		expect(await send(resource)).toMatchObject({ waiting: 1 });
		const expiry = await runInDurableObject(object(), (_, { storage }) =>
			storage.sql.exec<{ at: number }>('SELECT expires_at AS at FROM tmcp_sessions').one(),
		);
		expect(expiry.at).toBe(soon);
	});
});

describe('it costs', () => {
	let meter: CostMeter;
	const costs = async (work: () => unknown): Promise<Costs> => {
		meter.reset();
		await work();
		return meter.read(object());
	};
	const resources: string[] = [];

	beforeEach(async () => {
		resources.splice(0, Infinity, ...(await Promise.all(['a', 'b', 'c', 'd'].map(hash))));
		await runInDurableObject(object(), (instance) => {
			instance.begin('session', OWNER, { info: { clientInfo: CLIENT } });
			instance.admit('session', OWNER);
			// It is written with this.
			instance.inform('session', [{ set: { logLevel: 'info' } }]);
			for (let other = 0; other < 200; other++) {
				instance.inform(`other-${other}`, [{ subscribe: resources[other % 4] ?? '' }]);
			}
		});
		meter = await CostMeter.watch(object());
	});

	it('nothing beside the row of a session to begin it with what its client told', async () => {
		const info = { clientInfo: CLIENT, clientCapabilities: {} };
		expect(await costs(() => object().begin('new', OWNER, { info }))).toMatchObject({
			read: 0,
			written: 1,
		});
	});

	it('a row read to admit a session and tell what is known of it, and nothing while it is remembered', async () => {
		const admit = () => object().admitWithInfo('session', OWNER);
		expect(await costs(admit)).toMatchObject({ read: 0, written: 0 });
		await evictDurableObject(object());
		await object().has('session');
		expect(await costs(admit)).toMatchObject({ statements: 1, read: 1, written: 0 });
	});

	it('a row written for a log level, for a subscription, and for its end', async () => {
		const change = (...changes: Parameters<SyncLayer['inform']>[1]) =>
			costs(() => object().inform('session', changes));
		const [resource = ''] = resources;
		expect(await change({ set: { logLevel: 'alert' } })).toMatchObject({ read: 0, written: 1 });
		expect(await change({ set: { logLevel: 'alert' } })).toMatchObject({ read: 0, written: 0 });
		expect(await change({ subscribe: resource })).toMatchObject({ written: 1 });
		expect(await change({ subscribe: resource })).toMatchObject({ written: 0 });
		expect(await change({ unsubscribe: resource })).toMatchObject({ written: 1 });
	});

	it('a row written for all that is changed at once', async () => {
		const changes = [{ set: { logLevel: 'alert' as const } }];
		const subscriptions = resources.map((subscribe) => ({ subscribe }));
		expect(
			await costs(() => object().inform('session', [...changes, ...subscriptions])),
		).toMatchObject({ read: 0, written: 1 });
	});

	it('a row for the end of a session, however many subscriptions it has', async () => {
		for (const subscribe of resources) await object().inform('session', [{ subscribe }]);
		await object().end('first');
		expect(await costs(() => object().end('session'))).toMatchObject({
			statements: 1,
			read: 0,
			written: 1,
		});
		expect(await subscribed()).toBe(200);
	});

	it('a row for a message to all subscribers of a resource, and a row read for each session once a wake', async () => {
		const [resource = ''] = resources;
		await evictDurableObject(object());
		await object().broadcast(['other-0'], 'x');
		expect((await costs(() => object().subscribersOf(resource))).read).toBe(201);
		const { read, written } = await costs(() => send(resource));
		// Of the log.
		expect(read).toBeLessThanOrEqual(2);
		expect(written).toBe(1);
		expect(await costs(() => object().subscribersOf(resource))).toMatchObject({ statements: 0 });
	});
});

it('what is known of a client is bounded before it is written: a few bytes may claim to be much', async () => {
	const sparse = Object.assign([], { length: 50_000_000 });
	await runInDurableObject(object(), (instance) => {
		const start = performance.now();
		const clientInfo = { name: 'x', version: '1', extra: sparse };
		expect(() => instance.inform('sparse', [{ set: { clientInfo } }])).toThrow(
			/^PAYLOAD_TOO_LARGE/,
		);
		expect(() => instance.begin('sparse', OWNER, { info: { clientInfo } })).toThrow(
			/^PAYLOAD_TOO_LARGE/,
		);
		expect(performance.now() - start).toBeLessThan(1_000);
	});
});
