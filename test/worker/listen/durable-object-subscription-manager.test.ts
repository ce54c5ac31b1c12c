import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import {
	DurableObjectSubscriptionManager,
	SessionHomes,
	SessionManagerError,
	type SyncLayer,
} from '../../../src/index.ts';
import { formatHome, objectNameOf } from '../../../src/wire/home.ts';
import { DEFAULT_HOMES } from '../../../src/worker/routing/default-homes.ts';
import { codeOf } from '../../support/codes.ts';

/** In all homes: where a listen stream is, is its manager's business. */
const everywhere = <T>(work: (object: DurableObjectStub<SyncLayer>) => Promise<T>): Promise<T[]> =>
	Promise.all(
		Array.from({ length: DEFAULT_HOMES }, (_, index) => {
			const name = objectNameOf(formatHome({ index, region: undefined }));
			return work(env.TMCP_DURABLE_OBJECT.getByName(name));
		}),
	);

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

const subscriptions = async () =>
	sum(await everywhere(async (object) => (await object.stats()).subscriptions));

const evict = (webSockets: 'close' | 'hibernate') =>
	everywhere(async (object) => {
		// One that nobody has asked yet does not run.
		await object.homes();
		await evictDurableObject(object, { webSockets });
	});
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
	const counts = await everywhere((object) =>
		runInDurableObject(object, (_, state) => {
			const tables = state.storage.sql
				.exec("SELECT 1 FROM sqlite_master WHERE name = 'tmcp_filters'")
				.toArray();
			if (tables.length === 0) return 0;
			return state.storage.sql
				.exec<{ n: number }>('SELECT COUNT(DISTINCT filter_id) AS n FROM tmcp_filters')
				.one().n;
		}),
	);
	return sum(counts);
}

const attached = (count: number) =>
	vi.waitFor(async () => expect(await subscriptions()).toBe(count), 5_000);

/** More than a socket carries. */
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
			await evict('hibernate');
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
		['evicted with its sockets closed', () => evict('close')],
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

	it.each([
		['evicted with its sockets closed', () => evict('close')],
		['aborted', () => abortAllDurableObjects()],
	])(
		'gets what was sent while the object was %s, in order and once',
		async (_, interrupt) => {
			const uri = `memo://${crypto.randomUUID()}`;
			const { origin, told } = await listen(uri);
			const sent: unknown[] = [];
			for (const round of [1, 2, 3]) {
				await interrupt();
				for (const n of [1, 2, 3]) {
					sent.push(updated(uri, round * 10 + n));
					const notifications = [updated(uri, round * 10 + n), updated(`${uri}/other`, n)];
					await everywhere((object) => object.publish(notifications));
				}
				await attached(1);
			}
			await vi.waitFor(() => expect(told).toEqual(['acknowledged', ...sent]));
			await manager.close(1, origin, 'closed');
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
			expect(await subscriptions()).toBe(20);
			expect(await storedFilters()).toBe(10);
			await Promise.all(streams.map(({ origin }) => manager.close(1, origin, 'cancelled')));
		}
		await attached(0);
		expect(await storedFilters()).toBe(0);
		await everywhere((object) =>
			runInDurableObject(object, (_, state) => expect(state.getWebSockets()).toEqual([])),
		);
	}, 30_000);

	it('whose rows were left behind by an object that was replaced has them swept away', async () => {
		const left = await listen(...manyResources('memo://left'));
		expect(await storedFilters()).toBe(1);
		await everywhere((object) =>
			runInDurableObject(object, (_, state) => {
				state.storage.sql.exec("UPDATE tmcp_filters SET filter_id = 'of no socket'");
			}),
		);
		await evict('close');
		await attached(1);
		const later = Date.now() + 130_000;
		const clock = vi.spyOn(Date, 'now').mockImplementation(() => later);
		await everywhere((object) => runInDurableObject(object, (instance) => instance.alarm()));
		clock.mockRestore();
		expect(await storedFilters()).toBe(1);
		await manager.closeAll(left.origin);
		await attached(0);
		expect(await storedFilters()).toBe(0);
	});
});

/** The real namespace with one home, and some calls of its stubs replaced. */
function namespaceWith(
	replace: (stub: DurableObjectStub<SyncLayer>, call: number) => Record<string, unknown>,
	namespace: DurableObjectNamespace<SyncLayer> = env.TMCP_DURABLE_OBJECT,
): SessionHomes {
	let calls = 0;
	const getByName = (name: string) => {
		const stub = namespace.getByName(name);
		const replaced = replace(stub, ++calls);
		return new Proxy(stub, {
			get: (target, key) =>
				replaced[String(key)] ??
				((...args: unknown[]) => Reflect.apply(Reflect.get(target, key), target, args)),
		});
	};
	const replacing = new Proxy(namespace, {
		get: (target, key) => (key === 'getByName' ? getByName : Reflect.get(target, key)),
	});
	return new SessionHomes(replacing, { homes: 1 });
}

/** A listen stream's callbacks, and what they were told. */
function witness() {
	const log: unknown[] = [];
	const callbacks = {
		acknowledge: () => void log.push('acknowledged'),
		send: (notification: unknown) => void log.push(notification),
		close: (reason: string) => void log.push(reason),
	};
	return { log, callbacks };
}

describe('a listen stream that is opening', () => {
	it.each([
		['lost', () => Promise.reject(Object.assign(new Error('lost'), { retryable: true }))],
		[
			'refused',
			() =>
				Promise.resolve(
					Response.json({ code: 'TICKET_REFUSED', message: 'late' }, { status: 403 }),
				),
		],
	])('is opened after all when its first upgrade was %s', async (_, fetch) => {
		const retrying = new DurableObjectSubscriptionManager(
			namespaceWith((__, call) => (call === 1 ? { fetch } : {})),
		);
		const [origin, { log, callbacks }] = [crypto.randomUUID(), witness()];
		const filters = { resourceSubscriptions: ['memo://a'] };
		expect(await retrying.create({ id: 1, origin, filters }, callbacks)).toBe(true);
		await retrying.send(updated('memo://a'));
		await vi.waitFor(() => expect(log).toEqual(['acknowledged', updated('memo://a')]));
		await retrying.closeAll(origin);
	});

	it.each(['closed', 'cancelled'] as const)(
		'is acknowledged and then %s, if that is what happens to it',
		async (reason) => {
			const slow = new DurableObjectSubscriptionManager(
				namespaceWith((stub) => ({
					fetch: async (...request: Parameters<typeof stub.fetch>) => {
						await scheduler.wait(100);
						return stub.fetch(...request);
					},
				})),
			);
			const [origin, { log, callbacks }] = [crypto.randomUUID(), witness()];
			const creating = slow.create(
				{ id: 1, origin, filters: { toolsListChanged: true } },
				callbacks,
			);
			await vi.waitFor(async () => expect(await manager.close(1, origin, reason)).toBe(true));
			expect(await creating).toBe(true);
			await vi.waitFor(() => expect(log).toEqual(['acknowledged', reason]));
			expect(await subscriptions()).toBe(0);
		},
	);
});

describe('a listen stream that comes back', () => {
	it.each([
		['by its name', (origin: string) => manager.close(1, origin, 'closed')],
		['with all of its origin', (origin: string) => manager.closeAll(origin, 'closed')],
		['with all', () => manager.closeAll(undefined, 'closed')],
	])(
		'is told that it was closed meanwhile, %s, and stays away',
		async (_, close) => {
			const [origin, { log, callbacks }] = [crypto.randomUUID(), witness()];
			await manager.create({ id: 1, origin, filters: { toolsListChanged: true } }, callbacks);
			await evict('close');
			await close(origin);
			await vi.waitFor(() => expect(log).toEqual(['acknowledged', 'closed']), 3_000);
			expect(await subscriptions()).toBe(0);
		},
		10_000,
	);

	it('is not mistaken for one of its name that was closed before it began', async () => {
		const [origin, first, second] = [crypto.randomUUID(), witness(), witness()];
		const subscription = { id: 1, origin, filters: { toolsListChanged: true } };
		await manager.create(subscription, first.callbacks);
		await manager.close(1, origin, 'closed');
		await manager.create(subscription, second.callbacks);
		for (let round = 0; round < 2; round++) {
			await evict('hibernate');
			await everywhere((object) =>
				runInDurableObject(object, (_, state) => {
					for (const socket of state.getWebSockets()) socket.close(1001);
				}),
			);
			await vi.waitFor(async () => expect(await subscriptions()).toBe(1), 3_000);
		}
		expect(second.log).toEqual(['acknowledged']);
		await manager.close(1, origin, 'closed');
	}, 10_000);

	it('has its place, also in an object that is full', async () => {
		const small = new DurableObjectSubscriptionManager(
			new SessionHomes('SMALL_SYNC_LAYER', { homes: 1 }),
		);
		const stub = () => env.SMALL_SYNC_LAYER.getByName('TMCP_DURABLE_OBJECT');
		const origin = crypto.randomUUID();
		for (const id of [1, 2, 3]) {
			await small.create({ id, origin, filters: { toolsListChanged: true } }, witness().callbacks);
		}
		await evictDurableObject(stub(), { webSockets: 'close' });
		await vi.waitFor(async () => expect((await stub().stats()).subscriptions).toBe(3), 5_000);
		await small.closeAll(origin);
	}, 10_000);

	it('is cancelled where nothing can bring it back, and that is reported', async () => {
		const errors: unknown[] = [];
		const refused = () => Promise.reject(new SessionManagerError('INVALID_ARGUMENT', 'no more'));
		const hopeless = new DurableObjectSubscriptionManager(
			namespaceWith((_, call) => (call === 1 ? {} : { subscribe: refused })),
			{ onError: (error) => void errors.push(error) },
		);
		const { log, callbacks } = witness();
		const origin = crypto.randomUUID();
		await hopeless.create({ id: 1, origin, filters: { toolsListChanged: true } }, callbacks);
		await evict('close');
		await vi.waitFor(() => expect(log).toEqual(['acknowledged', 'cancelled']), 3_000);
		expect(errors.map((error) => SessionManagerError.from(error)?.code)).toEqual([
			'INVALID_ARGUMENT',
		]);
	}, 10_000);
});

describe('what is sent', () => {
	it('arrives in order, also over several turns of the event loop and when a call is slow', async () => {
		const slow = new DurableObjectSubscriptionManager(
			namespaceWith((stub, call) => ({
				relay: async (...args: Parameters<SyncLayer['relay']>) => {
					if (call === 2) await scheduler.wait(100);
					return stub.relay(...args);
				},
			})),
		);
		const [origin, { log, callbacks }] = [crypto.randomUUID(), witness()];
		await slow.create(
			{ id: 1, origin, filters: { resourceSubscriptions: ['memo://a'] } },
			callbacks,
		);
		const sending: Promise<void>[] = [];
		for (const n of [1, 2, 3, 4, 5]) {
			sending.push(slow.send(updated('memo://a', n)));
			if (n % 2 === 1) await scheduler.wait(5);
		}
		await Promise.all(sending);
		await vi.waitFor(() =>
			expect(log).toEqual(['acknowledged', ...[1, 2, 3, 4, 5].map((n) => updated('memo://a', n))]),
		);
		await slow.closeAll(origin);
	});

	it('is refused alone where it cannot be written, and costs the others nothing', async () => {
		const errors: unknown[] = [];
		const reporting = new DurableObjectSubscriptionManager(undefined, {
			onError: (error) => void errors.push(error),
		});
		const [origin, { log, callbacks }] = [crypto.randomUUID(), witness()];
		await reporting.create(
			{ id: 1, origin, filters: { resourceSubscriptions: ['memo://a'] } },
			callbacks,
		);
		const bad = { ...updated('memo://a', 2), params: { uri: 'memo://a', n: 2n } };
		const results = await Promise.allSettled([
			reporting.send(updated('memo://a', 1)),
			reporting.send(bad),
			reporting.send(updated('memo://a', 3)),
		]);
		expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
		await vi.waitFor(() =>
			expect(log).toEqual(['acknowledged', updated('memo://a', 1), updated('memo://a', 3)]),
		);
		expect(errors.map((error) => SessionManagerError.from(error)?.code)).toEqual([
			'INVALID_ARGUMENT',
		]);
		await reporting.closeAll(origin);
	});

	it('and cannot be sent is reported once for all that left together, and rejects', async () => {
		const errors: unknown[] = [];
		const broken = Reflect.construct(DurableObjectSubscriptionManager, [
			'NOT_BOUND',
			{ onError: (error: unknown) => void errors.push(error) },
		]);
		const sending = [1, 2, 3].map((n) => codeOf(() => broken.send(updated('memo://a', n))));
		expect(await Promise.all(sending)).toEqual([
			'BINDING_MISSING',
			'BINDING_MISSING',
			'BINDING_MISSING',
		]);
		expect(errors).toHaveLength(1);
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

	it('costs nothing more where onError throws, too', async () => {
		const log = vi.spyOn(console, 'error').mockImplementation(() => {});
		const onError = () => {
			throw new Error('onError is broken');
		};
		const reporting = new DurableObjectSubscriptionManager(undefined, { onError });
		const { log: heard, callbacks } = witness();
		const origin = crypto.randomUUID();
		const send = (notification: unknown) => {
			callbacks.send(notification);
			throw new Error('broken');
		};
		const filters = { resourceSubscriptions: ['memo://x'] };
		await reporting.create({ id: 1, origin, filters }, { ...callbacks, send });
		await reporting.send(updated('memo://x', 1));
		await reporting.send(updated('memo://x', 2));
		await reporting.close(1, origin, 'closed');
		await vi.waitFor(() =>
			expect(heard).toEqual([
				'acknowledged',
				updated('memo://x', 1),
				updated('memo://x', 2),
				'closed',
			]),
		);
		expect(log).toHaveBeenCalledTimes(2);
		log.mockRestore();
	});
});

describe('bad input', () => {
	const callbacks = { acknowledge() {}, send() {}, close() {} };
	const good = { id: 1, origin: 'o', filters: { toolsListChanged: true } };
	const one = () => env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');

	it.each([
		['a filter that is none', { ...good, filters: { toolsListChanged: 'yes' } }],
		['resources that are no list', { ...good, filters: { resourceSubscriptions: 'memo://a' } }],
		['a filter of another kind', { ...good, filters: [] }],
		['a filter that is an instance', { ...good, filters: new Date() }],
		['a filter with a typo', { ...good, filters: { toolListChanged: true } }],
		['an origin that is no Unicode', { ...good, origin: '\ud800' }],
		['an id of the wrong type', { ...good, id: true }],
		['an id that is no finite number', { ...good, id: Number.NaN }],
		['no origin', { ...good, origin: '' }],
		['more than 1 MiB', { ...good, filters: { resourceSubscriptions: ['x'.repeat(2 ** 20)] } }],
	])('is a subscription with %s: nothing is opened', async (_, subscription) => {
		expect(
			await codeOf(() => Reflect.apply(manager.create, manager, [subscription, callbacks])),
		).toBe('INVALID_ARGUMENT');
		expect(await codeOf(() => Reflect.apply(one().subscribe, one(), [subscription]))).toBe(
			'INVALID_ARGUMENT',
		);
		expect(await subscriptions()).toBe(0);
	});

	it.each([
		['a notification that is none', 'send', [{ method: 'x' }]],
		['a reason that there is not', 'close', [1, 'o', 'bored']],
		['an id of the wrong type', 'close', [null, 'o', 'closed']],
		['no id', 'close', [undefined, 'o', 'closed']],
		['an empty origin', 'close', [1, '', 'closed']],
	] as const)('is %s, given to %s', async (_, method, args) => {
		expect(await codeOf(() => Reflect.apply(manager[method], manager, args))).toBe(
			'INVALID_ARGUMENT',
		);
	});

	it('is one subscription more than the object takes', async () => {
		const small = new DurableObjectSubscriptionManager(
			new SessionHomes('SMALL_SYNC_LAYER', { homes: 1 }),
		);
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
