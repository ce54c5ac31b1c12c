import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { SyncLayer } from '../../src/index.ts';
import { Wire } from '../support/socket.ts';
import { ShortLogSyncLayer } from '../support/worker/worker.ts';

let name: string;
beforeEach(() => {
	name = crypto.randomUUID();
});

const rows = (of: DurableObjectStub, table: string) =>
	runInDurableObject(of, (_, { storage }) => storage.sql.exec(`SELECT * FROM ${table}`).toArray());

const evict = (of: DurableObjectStub) => evictDurableObject(of, { webSockets: 'close' });

describe('what gets old one after another', () => {
	const MINUTES_MS = 5 * 60 * 1000;
	const nth = "CAST(replace(session_id, 'session-', '') AS INTEGER)";

	it.each([
		['events', 'tmcp_events', 'at = ?1 - 3600000 + 100 * (seq - 30)'],
		['sessions without a stream', 'tmcp_sessions', `expires_at = ?1 + 100 * (${nth} - 30)`],
	])('goes in one alarm, and the next one is minutes away: %s', async (_, table, aged) => {
		const object = env.TMCP_DURABLE_OBJECT.getByName(name);
		await runInDurableObject(object, (instance, { storage }) => {
			for (let session = 1; session <= 100; session++) {
				instance.begin(`session-${session}`, 'o'.repeat(43));
				instance.broadcast(undefined, 'x');
			}
			storage.sql.exec(`UPDATE ${table} SET ${aged}`, Date.now());
		});
		await evict(object);
		await vi.waitFor(async () => expect(await runDurableObjectAlarm(object)).toBe(true));
		const left = (await rows(object, table)).length;
		expect(left).toBeGreaterThan(0);
		expect(left).toBeLessThanOrEqual(71);
		const next = await runInDurableObject(object, (__, { storage }) => storage.getAlarm());
		expect(next).toBeGreaterThan(Date.now() + MINUTES_MS);
	});
});

it('a session whose stream ended with the object is forgotten by an alarm, without anything else happening', async () => {
	const object = () => env.FORGETFUL.getByName(name);
	const waiting = async () => (await object().stats()).log?.waiting;
	await Wire.open(object(), 'one');
	expect(await waiting()).toBe(0);
	await evict(object());
	expect(await waiting()).toBe(1);
	await vi.waitFor(async () => expect(await waiting()).toBe(0), 5_000);
});

describe('a log that a deploy switches off', () => {
	it('leaves nothing, and is another one when it is switched on again', async () => {
		const object = () => env.SHORT_LOG.getByName(name);
		const { options } = ShortLogSyncLayer;
		await Wire.open(object(), 'one');
		await object().broadcast(['one', 'two'], 'x');
		const { log } = await object().attach('somebody');
		const lastEventId = `${log?.eventIdPrefix}1`;
		expect((await object().attach('one', { lastEventId })).log).toMatchObject({ recovered: true });
		Reflect.set(ShortLogSyncLayer, 'options', { log: false });
		try {
			await evict(object());
			expect((await object().stats()).log).toBeUndefined();
			expect(await rows(object(), 'tmcp_events')).toEqual([]);
			expect(await rows(object(), 'tmcp_sessions')).toEqual([]);
		} finally {
			Reflect.set(ShortLogSyncLayer, 'options', options);
		}
		await evict(object());
		expect((await object().attach('one', { lastEventId })).log).toEqual({
			eventIdPrefix: expect.not.stringMatching(`^${log?.eventIdPrefix}$`),
			after: 0,
			recovered: false,
		});
		expect(await object().broadcast(['two'], 'y')).toMatchObject({ waiting: 1 });
	});
});

describe('the tables of an object', () => {
	const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);
	const version = () =>
		runInDurableObject(object(), (_, { storage }) => storage.kv.get('tmcp:schema'));

	it('are made once, however often it wakes', async () => {
		await object().broadcast(['one'], 'kept');
		const made = await version();
		expect(made).toBeGreaterThan(0);
		for (let round = 0; round < 2; round++) {
			await evict(object());
			expect((await object().stats()).log).toMatchObject({ events: 1 });
			expect(await version()).toBe(made);
		}
	});

	it('are made in an object that had one of them before versions were counted', async () => {
		await runInDurableObject(object(), (_, { storage }) => {
			const tables = storage.sql.exec<{ name: string }>(
				"SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'tmcp_%'",
			);
			for (const { name: table } of tables.toArray()) storage.sql.exec(`DROP TABLE ${table}`);
			storage.kv.delete('tmcp:schema');
			storage.sql.exec('CREATE TABLE tmcp_filters (uri TEXT NOT NULL)');
		});
		await evict(object());
		expect(await object().broadcast(['one'], 'x')).toMatchObject({ waiting: 1 });
	});

	it('stay as a newer version of the library made them, if that was deployed before', async () => {
		await object().broadcast(['one'], 'kept');
		await runInDurableObject(object(), (_, { storage }) => storage.kv.put('tmcp:schema', 99));
		await evict(object());
		expect((await object().stats()).log).toMatchObject({ events: 1 });
		expect(await version()).toBe(99);
	});
});

it('a registration is purged where there is no log, too, once its stream has ended', async () => {
	const object = env.NO_LOG.getByName(name);
	await object.begin('one', 'o'.repeat(43));
	const wire = await Wire.open(object, 'one');
	// It rings while the stream is open, and finds nothing to delete.
	await runInDurableObject(object, (instance) => instance.alarm());
	wire.socket.close();
	await vi.waitFor(async () => {
		const alarm = await runInDurableObject(object, (_, { storage }) => storage.getAlarm());
		expect(alarm).toBeGreaterThan(Date.now());
	});
});

it.each([
	[{ sessionTtl: 10 * 365 * 24 * 60 * 60 + 1 }],
	[{ log: { maxAge: Number.MAX_SAFE_INTEGER } }],
	[{ sessionTtl: 0 }],
])('the options %j are refused', async (options) => {
	class Misconfigured extends SyncLayer {
		static override readonly options = options;
	}
	const object = env.TMCP_DURABLE_OBJECT.getByName(name);
	await runInDurableObject(object, (_, state) => {
		expect(() => new Misconfigured(state, env)).toThrow('INVALID_ARGUMENT');
	});
});
