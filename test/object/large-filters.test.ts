import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSocket, type SubscriptionInput } from '../../src/advanced.ts';
import { SyncLayer } from '../../src/index.ts';
import { codeOf } from '../support/codes.ts';
import { CostMeter } from '../support/costs.ts';

let name: string;
beforeEach(() => {
	name = crypto.randomUUID();
});
afterEach(() => {
	vi.restoreAllMocks();
});
const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);
const uris = (count: number) => Array.from({ length: count }, (_, i) => `x:${i}`);
const to = (...resourceSubscriptions: string[]): SubscriptionInput => ({
	id: 1,
	origin: crypto.randomUUID(),
	filters: { resourceSubscriptions },
});
const updated = (uri: string) => ({
	jsonrpc: '2.0' as const,
	method: 'notifications/resources/updated',
	params: { uri },
});

async function listen(subscription: SubscriptionInput) {
	const subscribed = await object().subscribe(subscription);
	if (subscribed.kind !== 'subscribed') throw new Error(subscribed.kind);
	const socket = await openSocket(object(), subscribed);
	socket.accept();
	return socket;
}

describe('a subscription to many resources', () => {
	it('costs a few rows in its life, not two for each resource', async () => {
		await listen(to('memo://first'));
		const meter = await CostMeter.watch(object());
		const socket = await listen(to(...uris(1_000)));
		expect(await meter.read(object())).toMatchObject({ written: 1 });
		expect(await object().publish([updated('x:999')])).toBe(1);
		meter.reset();
		socket.close(1000, '');
		await vi.waitFor(async () => expect((await object().stats()).subscriptions).toBe(1));
		const { read, written } = await meter.read(object());
		expect(written).toBe(1);
		expect(read).toBeLessThan(5);
	});

	it('is refused where it names more than 1,000, and 70,000 cost no row', async () => {
		const meter = await CostMeter.watch(object());
		for (const count of [1_001, 70_000]) {
			expect(await codeOf(() => object().subscribe(to(...uris(count))))).toBe('INVALID_ARGUMENT');
		}
		expect(await meter.read(object())).toMatchObject({ read: 0, written: 0 });
	});

	it('may name more, or fewer, where the class says so', async () => {
		class Generous extends SyncLayer {
			static override readonly options = { maxResourcesPerSubscription: 2_000 };
		}
		class Strict extends SyncLayer {
			static override readonly options = { maxResourcesPerSubscription: 0 };
		}
		await runInDurableObject(object(), async (_, state) => {
			const generous = new Generous(state, env);
			expect(generous.subscribe(to(...uris(2_000)))).toMatchObject({ kind: 'subscribed' });
			const strict = new Strict(state, env);
			expect(await codeOf(() => strict.subscribe(to('x:1')))).toBe('INVALID_ARGUMENT');
		});
	});

	it('hears of exactly those, whatever is in their names', async () => {
		const odd = ['', '"', 'a\nb', 'é', '\ud800', 'x:1', 'x:10', 'a"\n"c'];
		await listen(to(...odd, ...uris(20).slice(11)));
		for (const uri of [...odd, 'x:19']) expect(await object().publish([updated(uri)])).toBe(1);
		for (const uri of ['a', 'b', 'c', 'x:', 'x:2', '\ud801', '\n', 'X:1', ' '])
			expect(await object().publish([updated(uri)])).toBe(0);
		await evictDurableObject(object(), { webSockets: 'hibernate' });
		expect(await object().publish([updated('a\nb')])).toBe(1);
	});

	it('that was stored by an earlier version, a row for each resource, is found', async () => {
		await listen(to(...uris(20)));
		await runInDurableObject(object(), (_, { storage }) => {
			const [row] = storage.sql.exec<{ filter_id: string }>('SELECT * FROM tmcp_filters').toArray();
			storage.sql.exec('DROP TABLE tmcp_filters');
			storage.sql.exec(
				`CREATE TABLE tmcp_filters (uri TEXT NOT NULL, filter_id TEXT NOT NULL, PRIMARY KEY (uri, filter_id)) WITHOUT ROWID;
				CREATE INDEX tmcp_filters_by_id ON tmcp_filters (filter_id)`,
			);
			for (const uri of uris(20))
				storage.sql.exec('INSERT INTO tmcp_filters VALUES (?, ?)', uri, row?.filter_id ?? '');
			for (const table of ['owners', 'session_count', 'questions', 'subscribers'])
				storage.sql.exec(`DROP TABLE IF EXISTS tmcp_${table}`);
			for (const column of ['info', 'begun_at'])
				storage.sql.exec(`ALTER TABLE tmcp_sessions DROP COLUMN ${column}`);
			storage.kv.put('tmcp:schema', 2);
		});
		await evictDurableObject(object(), { webSockets: 'hibernate' });
		expect(await object().publish([updated('x:19')])).toBe(1);
		expect(await object().publish([updated('x:20')])).toBe(0);
	});
});
