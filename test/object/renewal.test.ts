import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SyncLayer } from '../../src/index.ts';
import { CostMeter } from '../support/costs.ts';
import { BY_A_TEST, Wire } from '../support/socket.ts';

const OWNER = 'o'.repeat(43);
const MINUTE_MS = 60_000;

let name: string;
beforeEach(() => void (name = crypto.randomUUID()));
afterEach(() => void vi.restoreAllMocks());
const object = (): DurableObjectStub<SyncLayer> => env.TMCP_DURABLE_OBJECT.getByName(name);

/** How long the session still has, as it is stored, in minutes. */
const minutesOf = (session: string) =>
	runInDurableObject(object(), (_, { storage }) => {
		const [row] = storage.sql
			.exec<{ at: number }>(
				`${BY_A_TEST} SELECT expires_at AS at FROM tmcp_sessions WHERE session_id = ?`,
				session,
			)
			.toArray();
		return ((row?.at ?? 0) - Date.now()) / MINUTE_MS;
	});
const WEEK = 7 * 24 * 60;

/** As if so much of a session's time had passed. */
async function pass(minutes: number): Promise<void> {
	await runInDurableObject(object(), (_, { storage }) => {
		storage.sql.exec('UPDATE tmcp_sessions SET expires_at = expires_at - ?', minutes * MINUTE_MS);
	});
	await evictDurableObject(object(), { webSockets: 'close' });
}

describe('the first sign of life of a session', () => {
	beforeEach(() => object().begin('one', OWNER));

	it('is written soon where nothing follows', async () => {
		await object().admit('one', OWNER);
		expect(await minutesOf('one')).toBeLessThan(10);
		await vi.waitFor(async () => expect(await minutesOf('one')).toBeGreaterThan(WEEK));
	});

	it.each<[string, () => unknown]>([
		['the stream that follows', () => Wire.open(object(), 'one')],
		[
			'what its client tells',
			() => object().inform('one', [{ set: { logLevel: 'alert' } }, { subscribe: OWNER }]),
		],
		['the list of all sessions', () => object().listSessions()],
	])('is written with %s, in one row', async (_, follow) => {
		await object().admit('one', OWNER);
		const meter = await CostMeter.watch(object());
		await follow();
		expect(await meter.read(object())).toMatchObject({ written: 1 });
		expect(await minutesOf('one')).toBeGreaterThan(WEEK);
	});

	it('is not lost where many other rows are remembered after it', async () => {
		await object().admit('one', OWNER);
		await runInDurableObject(object(), (instance) => {
			for (let other = 0; other < 1_500; other++) instance.admit(`other-${other}`, OWNER);
		});
		await vi.waitFor(async () => expect(await minutesOf('one')).toBeGreaterThan(WEEK));
	});

	it('is forgotten with a session that ends at once', async () => {
		await object().admit('one', OWNER);
		await object().end('one');
		await scheduler.wait(600);
		expect(await object().admit('one', OWNER)).toBe(false);
	});

	it('costs a session the rest of its time where the object is lost before: the next one counts', async () => {
		await object().admit('one', OWNER);
		await evictDurableObject(object(), { webSockets: 'close' });
		expect(await minutesOf('one')).toBeLessThan(10);
		expect(await object().admit('one', OWNER)).toBe(true);
		await vi.waitFor(async () => expect(await minutesOf('one')).toBeGreaterThan(WEEK));
	});

	it('is written at once where the session would expire soon', async () => {
		await pass(9.5);
		await object().admit('one', OWNER);
		expect(await minutesOf('one')).toBeGreaterThan(WEEK);
	});
});

it('a later sign of life is written at once', async () => {
	await object().begin('one', OWNER);
	await object().admit('one', OWNER);
	await object().inform('one', [{ set: { logLevel: 'alert' } }]);
	await pass(WEEK / 5);
	await object().admit('one', OWNER);
	expect(await minutesOf('one')).toBeGreaterThan(WEEK);
});
