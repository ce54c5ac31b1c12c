import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { DurableObjectSubscriptionManager } from '../../src/index.ts';
import { codeOf } from '../support/codes.ts';

const object = () => env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
const manager = new DurableObjectSubscriptionManager();

const updated = (uri: string, n = 0) =>
	({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri, n } }) as const;

/** A listen stream on some resources. */
async function listen(...resourceSubscriptions: string[]) {
	const origin = crypto.randomUUID();
	const told: unknown[] = [];
	const callbacks = {
		acknowledge: () => void told.push('acknowledged'),
		send: (notification: unknown) => void told.push(notification),
		close: (reason: string) => void told.push(reason),
	};
	await manager.create({ id: 1, origin, filters: { resourceSubscriptions } }, callbacks);
	return { origin, told };
}

async function storedFilters(): Promise<number> {
	return runInDurableObject(object(), (_, state) => {
		const tables = state.storage.sql
			.exec("SELECT 1 FROM sqlite_master WHERE name = 'tmcp_filters'")
			.toArray();
		if (tables.length === 0) return 0;
		return state.storage.sql.exec<{ n: number }>('SELECT COUNT(*) AS n FROM tmcp_filters').one().n;
	});
}

const attached = (count: number) =>
	vi.waitFor(async () => expect((await object().stats()).subscriptions).toBe(count), 5_000);

/** Over 16 KiB, and so not in a socket's attachment. */
const manyResources = (uri: string) => [
	uri,
	...Array.from({ length: 500 }, (_, i) => `${uri}/${'x'.repeat(40)}/${i}`),
];

describe('a listen stream', () => {
	it.each([
		['in the attachment', (uri: string) => [uri]],
		['in SQLite', manyResources],
	])('with its filter %s goes on through hibernation, three times in a row', async (_, filter) => {
		const uri = `memo://${crypto.randomUUID()}`;
		const { origin, told } = await listen(...filter(uri));
		for (const round of [1, 2, 3]) {
			await evictDurableObject(object(), { webSockets: 'hibernate' });
			await manager.send(updated(uri, round));
			await manager.send(updated(`${uri}/other`, round));
		}
		await vi.waitFor(() =>
			expect(told).toEqual(['acknowledged', updated(uri, 1), updated(uri, 2), updated(uri, 3)]),
		);
		await manager.close(1, origin, 'closed');
		await attached(0);
		expect(await storedFilters()).toBe(0);
	});

	it.each([
		[
			'evicted with its sockets closed',
			() => evictDurableObject(object(), { webSockets: 'close' }),
		],
		['aborted', () => abortAllDurableObjects()],
	])(
		'comes back by itself when the object is %s, three times in a row',
		async (_, interrupt) => {
			const uri = `memo://${crypto.randomUUID()}`;
			const { origin, told } = await listen(...manyResources(uri));
			for (const round of [1, 2, 3]) {
				await interrupt();
				await attached(1);
				await manager.send(updated(uri, round));
			}
			await vi.waitFor(() =>
				expect(told).toEqual(['acknowledged', updated(uri, 1), updated(uri, 2), updated(uri, 3)]),
			);
			expect(await storedFilters()).toBe(1);
			expect(await manager.close(1, origin, 'cancelled')).toBe(true);
			await vi.waitFor(() => expect(told.at(-1)).toBe('cancelled'));
			expect(await storedFilters()).toBe(0);
		},
		20_000,
	);

	it('leaves nothing behind: no socket and no row after 200 that came and went', async () => {
		for (let batch = 0; batch < 10; batch++) {
			const streams = await Promise.all(
				Array.from({ length: 20 }, (_, i) => {
					const uri = `memo://${crypto.randomUUID()}`;
					return listen(...(i % 2 === 0 ? [uri] : manyResources(uri)));
				}),
			);
			expect((await object().stats()).subscriptions).toBe(20);
			expect(await storedFilters()).toBe(10);
			await Promise.all(streams.map(({ origin }) => manager.close(1, origin, 'cancelled')));
		}
		await attached(0);
		expect(await storedFilters()).toBe(0);
		await runInDurableObject(object(), (_, state) => expect(state.getWebSockets()).toEqual([]));
	}, 30_000);

	it('whose rows were left behind by an object that was replaced has them swept away', async () => {
		const left = await listen(...manyResources('memo://left'));
		expect(await storedFilters()).toBe(1);
		await runInDurableObject(object(), (_, state) => {
			state.storage.sql.exec("UPDATE tmcp_filters SET connection_id = 'of no socket'");
		});
		await evictDurableObject(object(), { webSockets: 'close' });
		await attached(1);
		expect(await storedFilters()).toBe(1);
		await manager.closeAll(left.origin);
		await attached(0);
		expect(await storedFilters()).toBe(0);
	});
});

describe('a callback that fails', () => {
	it('is reported, and costs no later notification', async () => {
		const errors: unknown[] = [];
		const reporting = new DurableObjectSubscriptionManager(undefined, {
			onError: (error) => void errors.push(error),
		});
		const [origin, told] = [crypto.randomUUID(), new Array<unknown>()];
		const send = (notification: unknown) => {
			told.push(notification);
			if (told.length === 1) throw new Error('broken');
		};
		const filters = { resourceSubscriptions: ['memo://x'] };
		await reporting.create({ id: 1, origin, filters }, { acknowledge() {}, send, close() {} });
		await reporting.send(updated('memo://x', 1));
		await reporting.send(updated('memo://x', 2));
		await vi.waitFor(() => expect(told).toEqual([updated('memo://x', 1), updated('memo://x', 2)]));
		expect(errors.map(String)).toEqual(['Error: broken']);
		await reporting.closeAll(origin);
	});
});

describe('bad input', () => {
	const callbacks = { acknowledge() {}, send() {}, close() {} };
	const good = { id: 1, origin: 'o', filters: {} };

	it.each([
		['a filter that is none', { ...good, filters: { toolsListChanged: 'yes' } }],
		['resources that are no list', { ...good, filters: { resourceSubscriptions: 'memo://a' } }],
		['an id of the wrong type', { ...good, id: true }],
		['an id that is no finite number', { ...good, id: Number.NaN }],
		['no origin', { ...good, origin: '' }],
		['more than 1 MiB', { ...good, filters: { resourceSubscriptions: ['x'.repeat(2 ** 20)] } }],
	])('is a subscription with %s: nothing is opened', async (_, subscription) => {
		expect(
			await codeOf(() => Reflect.apply(manager.create, manager, [subscription, callbacks])),
		).toBe('INVALID_ARGUMENT');
		expect(await codeOf(() => Reflect.apply(object().subscribe, object(), [subscription]))).toBe(
			'INVALID_ARGUMENT',
		);
		expect((await object().stats()).subscriptions).toBe(0);
	});

	it.each([
		['a notification that is none', 'send', [{ method: 'x' }]],
		['a reason that there is not', 'close', [1, 'o', 'bored']],
		['an id of the wrong type', 'close', [null, 'o', 'closed']],
		['an empty origin', 'closeAll', ['']],
	] as const)('is %s, given to %s', async (_, method, args) => {
		expect(await codeOf(() => Reflect.apply(manager[method], manager, args))).toBe(
			'INVALID_ARGUMENT',
		);
	});

	it('is one subscription more than the object takes', async () => {
		const small = new DurableObjectSubscriptionManager('SMALL_SYNC_LAYER');
		for (const id of [1, 2, 3]) expect(await small.create({ ...good, id }, callbacks)).toBe(true);
		expect(await codeOf(() => small.create({ ...good, id: 4 }, callbacks))).toBe(
			'TOO_MANY_SUBSCRIPTIONS',
		);
		const stub = env.SMALL_SYNC_LAYER.getByName('TMCP_DURABLE_OBJECT');
		expect((await stub.stats()).subscriptions).toBe(3);
		await small.close(2, 'o', 'closed');
		expect(await small.create({ ...good, id: 4 }, callbacks)).toBe(true);
		await small.closeAll();
	});
});
