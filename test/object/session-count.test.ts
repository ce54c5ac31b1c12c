import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SyncLayer } from '../../src/index.ts';
import { BY_A_TEST } from '../support/socket.ts';
import { CostMeter } from '../support/costs.ts';

const OWNER = 'o'.repeat(43);
const MAX = 1_000;

class ThousandSessions extends SyncLayer {
	static override readonly options = { maxSessions: MAX };
}

afterEach(() => void vi.restoreAllMocks());

/** In an object that wakes whenever `wake` is called: it then has nothing but what is stored. */
async function inside(work: (wake: () => SyncLayer, sql: SqlStorage) => unknown): Promise<void> {
	const object = env.TMCP_DURABLE_OBJECT.getByName(crypto.randomUUID());
	await runInDurableObject(object, (_, state) =>
		work(() => new ThousandSessions(state, env), state.storage.sql),
	);
}

const stored = (sql: SqlStorage) =>
	sql.exec<{ n: number }>(`${BY_A_TEST} SELECT n FROM tmcp_session_count`).one().n;

describe('as many sessions as the object takes', () => {
	it.each([1, 7, 63, 64, 65, 500])(
		'begin in it, and not one more, where it sleeps after each %i of them',
		async (awake) => {
			await inside((wake) => {
				let instance = wake();
				for (let session = 0; session < MAX; session++) {
					if (session % awake === 0) instance = wake();
					instance.begin(`session-${session}`, OWNER);
				}
				for (const of of [instance, wake(), wake()]) {
					expect(() => of.begin('one-more', OWNER)).toThrow('TOO_MANY_SESSIONS');
				}
			});
		},
	);

	it('are never more than the number that is stored', async () => {
		await inside((wake, sql) => {
			let instance = wake();
			for (let session = 1; session <= 300; session++) {
				if (session % 50 === 0) instance = wake();
				instance.begin(`session-${session}`, OWNER);
				expect(stored(sql)).toBeGreaterThanOrEqual(session);
			}
		});
	});

	it('may begin again once some are gone, and the number is right after a clean-up', async () => {
		await inside(async (wake, sql) => {
			const before = wake();
			for (let session = 0; session < MAX; session++) before.begin(`session-${session}`, OWNER);
			sql.exec("UPDATE tmcp_sessions SET expires_at = 1 WHERE session_id LIKE 'session-9%'");
			const after = wake();
			expect(() => after.begin('one-more', OWNER)).toThrow('TOO_MANY_SESSIONS');
			await after.alarm();
			expect(stored(sql)).toBe(MAX - 111);
			for (let session = 0; session < 111; session++) after.begin(`new-${session}`, OWNER);
			expect(() => after.begin('one-more', OWNER)).toThrow('TOO_MANY_SESSIONS');
		});
	});
});

it('a full object counts its sessions once, however many want to begin', async () => {
	const object = env.TMCP_DURABLE_OBJECT.getByName(crypto.randomUUID());
	const meter = await CostMeter.watch(object);
	await runInDurableObject(object, (_, state) => {
		const instance = new ThousandSessions(state, env);
		for (let session = 0; session < MAX; session++) instance.begin(`session-${session}`, OWNER);
		meter.reset();
		for (let flood = 0; flood < 20; flood++) {
			expect(() => instance.begin(`flood-${flood}`, OWNER)).toThrow('TOO_MANY_SESSIONS');
		}
		expect(meter.readInside()).toMatchObject({ written: 0 });
		expect(meter.readInside().read).toBeLessThanOrEqual(MAX + 20);
	});
});

it('64 begins write 65 rows', async () => {
	const object = env.TMCP_DURABLE_OBJECT.getByName(crypto.randomUUID());
	const meter = await CostMeter.watch(object);
	await runInDurableObject(object, (instance) => {
		meter.reset();
		for (let session = 0; session < 64; session++) instance.begin(`session-${session}`, OWNER);
		expect(meter.readInside()).toMatchObject({ written: 65 });
	});
});
