import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, expect, it, vi } from 'vitest';
import { openSocket } from '../../src/advanced.ts';
import { CostMeter } from '../support/costs.ts';

const [ALICE, BOB] = ['a'.repeat(43), 'b'.repeat(43)];

let name: string;
beforeEach(() => {
	name = crypto.randomUUID();
});
const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);

/** A listen stream of an owner that has lost its socket together with the object. */
async function betweenTwoSockets(account: string | undefined) {
	const connectionId = crypto.randomUUID();
	const subscription = {
		id: 1,
		origin: crypto.randomUUID(),
		filters: { toolsListChanged: true as const },
	};
	const first = await object().subscribe(subscription, { connectionId, account });
	if (first.kind !== 'subscribed') throw new Error(first.kind);
	const socket = await openSocket(object(), first);
	socket.accept();
	const comeBack = () =>
		object().subscribe(subscription, { connectionId, account, resume: first.began });
	return { comeBack };
}

it('a listen stream between two sockets ends with its owner’s sessions, when it comes back', async () => {
	const alices = await betweenTwoSockets(ALICE);
	const bobs = await betweenTwoSockets(BOB);
	const nobodys = await betweenTwoSockets(undefined);
	await evictDurableObject(object(), { webSockets: 'close' });
	expect(await object().endOwner(ALICE)).toBe(0);
	await evictDurableObject(object(), { webSockets: 'close' });
	expect(await alices.comeBack()).toEqual({ kind: 'ended', reason: 'cancelled' });
	expect(await bobs.comeBack()).toMatchObject({ kind: 'subscribed' });
	expect(await nobodys.comeBack()).toMatchObject({ kind: 'subscribed' });
});

it('a listen stream that its owner opens afterwards does not end', async () => {
	await betweenTwoSockets(ALICE);
	await object().endOwner(ALICE);
	const later = await betweenTwoSockets(ALICE);
	await evictDurableObject(object(), { webSockets: 'close' });
	expect(await later.comeBack()).toMatchObject({ kind: 'subscribed' });
});

it('the end of an owner’s listen streams is stored only where there ever was one', async () => {
	const ends = () =>
		runInDurableObject(object(), (_, { storage }) =>
			storage.sql.exec('SELECT * FROM tmcp_subscription_ends').toArray(),
		);
	await object().endOwner(ALICE);
	expect(await ends()).toEqual([]);
	await betweenTwoSockets(BOB);
	await object().endOwner(ALICE);
	expect(await ends()).toHaveLength(1);
});

it('who comes back reads its own ends only, and a target that ends again has one row', async () => {
	const alices = await betweenTwoSockets(ALICE);
	await runInDurableObject(object(), (instance) => {
		for (let id = 0; id < 2_000; id++) {
			instance.unsubscribe({ origin: 'somebody', id: id % 1_000 }, 'cancelled');
		}
	});
	await evictDurableObject(object(), { webSockets: 'close' });
	await object().stats();
	const meter = await CostMeter.watch(object());
	meter.reset();
	expect(await alices.comeBack()).toMatchObject({ kind: 'subscribed' });
	expect((await meter.read(object())).read).toBeLessThan(20);
	vi.restoreAllMocks();
	const rows = await runInDurableObject(object(), (_, { storage }) =>
		storage.sql.exec('SELECT COUNT(*) AS n FROM tmcp_subscription_ends').one(),
	);
	expect(rows).toEqual({ n: 1_000 });
});
