import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { KVInfoSessionManager, type SessionManagerError } from '../../../src/index.ts';
import { hash, shortHash } from '../../../src/worker/hash.ts';
import { subscribedPrefix, subscribersPrefix } from '../../../src/worker/info/kv-keys.ts';
import { codeOf } from '../../support/codes.ts';
import { age, allKeys, keysMadeBy, keysOf } from '../../support/kv.ts';

const kv = env.TMCP_SESSION_INFO;
const DAY = 24 * 60 * 60;
const now = () => Math.floor(Date.now() / 1000);

const session = () => `session:${crypto.randomUUID()}`;
const resource = () => `memo://${crypto.randomUUID()}`;

const METHODS = ['get', 'getWithMetadata', 'list', 'put', 'delete'] as const;
type Method = (typeof METHODS)[number];

/** KV with `around` between it and whoever calls it. */
function wrapped(
	around: (method: Method, key: string, call: () => unknown) => unknown,
): KVNamespace {
	return new Proxy(kv, {
		get(target, name) {
			const method = METHODS.find((known) => known === name);
			if (!method) return Reflect.get(target, name);
			return async (...args: unknown[]) => {
				const key = typeof args[0] === 'string' ? args[0] : JSON.stringify(args[0]);
				return around(method, key, () => Reflect.apply(target[method], target, args));
			};
		},
	});
}

/** KV with a count of its operations, and a fault, or a delay, for some of them. */
function watched(
	fault: (method: Method, key: string, nth: number) => unknown = () => undefined,
	options: { ttl?: number } = {},
) {
	const operations: [Method, string][] = [];
	const times = new Map<string, number>();
	const namespace = wrapped(async (name, key, call) => {
		operations.push([name, key]);
		const nth = (times.get(`${name} ${key}`) ?? 0) + 1;
		times.set(`${name} ${key}`, nth);
		const error = await fault(name, key, nth);
		if (error) throw error;
		return call();
	});
	const errors: SessionManagerError[] = [];
	const onError = (error: SessionManagerError) => void errors.push(error);
	const info = new KVInfoSessionManager(namespace, { ...options, onError });
	const count = (method: Method) => operations.filter(([name]) => name === method).length;
	return { info, operations, errors, count };
}

describe('what is stored', () => {
	it('has the key names and the format of the existing package', async () => {
		const [info, id] = [new KVInfoSessionManager(), session()];
		await info.setClientInfo(id, { name: 'a', version: '1' });
		await info.setClientCapabilities(id, { roots: {} });
		await info.setLogLevel(id, 'alert');
		expect(await kv.get(`tmcp:client_info:${id}`)).toBe('{"name":"a","version":"1"}');
		expect(await kv.get(`tmcp:client_capabilities:${id}`)).toBe('{"roots":{}}');
		expect(await kv.get(`tmcp:log_level:${id}`)).toBe('"alert"');
	});

	it('by the existing package is readable, and gets an expiry when it is read', async () => {
		const [info, id] = [new KVInfoSessionManager(), session()];
		await kv.put(`tmcp:client_info:${id}`, '{"name":"old","version":"0"}');
		await kv.put(`tmcp:client_capabilities:${id}`, '{}');
		await kv.put(`tmcp:log_level:${id}`, '"warning"');
		expect(await info.getClientCapabilities(id)).toEqual({});
		expect(await info.getClientInfo(id)).toEqual({ name: 'old', version: '0' });
		expect(await info.getLogLevel(id)).toBe('warning');
		await vi.waitFor(async () => {
			for (const [name, expiration] of await allKeys())
				if (name.endsWith(id)) expect(expiration, name).toBeDefined();
		});
	});

	it.each([
		['not JSON', '{"name":'],
		['of another shape', '[1]'],
		['empty', ''],
		['a log level that there is not', '"loud"'],
	])('and is damaged (%s) gives a coded error', async (_, text) => {
		const [info, id] = [new KVInfoSessionManager(), session()];
		for (const kind of ['client_info', 'client_capabilities', 'log_level'])
			await kv.put(`tmcp:${kind}:${id}`, text);
		expect(await codeOf(() => info.getClientInfo(id))).toBe('SESSION_INFO_DAMAGED');
		expect(await codeOf(() => info.getLogLevel(id))).toBe('SESSION_INFO_DAMAGED');
		expect(await codeOf(() => info.getClientCapabilities(id))).toBe('SESSION_INFO_DAMAGED');
	});

	it.each(['{"roots":[]}', '{"elicitation":{"form":[]}}', '{"extensions":{"x":[]}}'])(
		'and has an array in the place of an object (%s) gives a coded error',
		async (capabilities) => {
			const [info, id] = [new KVInfoSessionManager(), session()];
			await kv.put(`tmcp:client_capabilities:${id}`, capabilities);
			expect(await codeOf(() => info.getClientCapabilities(id))).toBe('SESSION_INFO_DAMAGED');
		},
	);

	it('is damaged in one place without harm to another', async () => {
		const [info, id] = [new KVInfoSessionManager(), session()];
		await info.setLogLevel(id, 'info');
		await kv.put(`tmcp:client_info:${id}`, '{');
		expect(await codeOf(() => info.getClientInfo(id))).toBe('SESSION_INFO_DAMAGED');
		expect(await info.getLogLevel(id)).toBe('info');
	});
});

async function everythingOf(info: KVInfoSessionManager, id: string, uri: string): Promise<void> {
	await info.setClientInfo(id, { name: 'a', version: '1' });
	await info.setClientCapabilities(id, {});
	await info.setLogLevel(id, 'info');
	await info.addSubscription(id, uri);
}

describe('expiry', () => {
	it.each([
		['seven days', undefined, 7 * DAY],
		['the ttl option', { ttl: DAY }, DAY],
	])('of every key is %s away', async (_, options, ttl) => {
		const info = new KVInfoSessionManager(undefined, options);
		const keys = await keysMadeBy(() => everythingOf(info, session(), resource()));
		expect(keys.size).toBe(5);
		for (const expiration of keys.values()) {
			expect(expiration).toBeGreaterThan(now() + ttl - 60);
			expect(expiration).toBeLessThanOrEqual(now() + ttl + 1);
		}
	});

	it.each([
		['a read', (info: KVInfoSessionManager, id: string) => info.getClientCapabilities(id)],
		['a touch', (info: KVInfoSessionManager, id: string) => info.touch(id)],
	])(
		'is renewed for all that the session has by %s in the second half of its life',
		async (_, live) => {
			const [info, id, uri] = [
				new KVInfoSessionManager(undefined, { ttl: DAY }),
				session(),
				resource(),
			];
			const keys = await keysMadeBy(() => everythingOf(info, id, uri));
			await age(keys.keys(), DAY);
			await live(info, id);
			await vi.waitFor(async () => {
				const renewed = await allKeys();
				for (const name of keys.keys())
					expect(renewed.get(name), name).toBeGreaterThan(now() + 0.9 * DAY);
			});
			expect(await info.getClientInfo(id)).toEqual({ name: 'a', version: '1' });
			expect(await info.getSubscriptions(uri)).toEqual([id]);
		},
	);

	it('is renewed by a touch for the subscriptions of a session of which nothing else is stored', async () => {
		const [info, id, uri] = [
			new KVInfoSessionManager(undefined, { ttl: DAY }),
			session(),
			resource(),
		];
		const keys = await keysMadeBy(() => info.addSubscription(id, uri));
		await age(keys.keys(), DAY);
		await info.touch(id);
		const renewed = await allKeys();
		for (const name of keys.keys())
			expect(renewed.get(name), name).toBeGreaterThan(now() + 0.9 * DAY);
	});

	it('is renewed once, although KV goes on serving what it had before', async () => {
		const puts: string[] = [];
		const stale = wrapped(async (method, key, call) => {
			if (method === 'put') puts.push(key);
			const found = await call();
			if (method !== 'getWithMetadata' || !(found instanceof Map)) return found;
			const metadata = { at: now() - 0.6 * DAY };
			return new Map(Array.from(found, ([name, entry]) => [name, { ...entry, metadata }]));
		});
		const [info, id, uri] = [new KVInfoSessionManager(stale, { ttl: DAY }), session(), resource()];
		const keys = await keysMadeBy(() => everythingOf(info, id, uri));
		puts.length = 0;
		for (let round = 1; round <= 5; round++) {
			expect(await info.getClientCapabilities(id)).toEqual({});
			expect(await info.getClientInfo(id)).toEqual({ name: 'a', version: '1' });
			expect(await info.getLogLevel(id)).toBe('info');
			await vi.waitFor(() => expect(puts.length).toBeGreaterThanOrEqual(keys.size));
			await info.touch(id);
		}
		expect(puts.toSorted()).toEqual([...keys.keys()].toSorted());
	});

	it('is renewed in time with the shortest ttl, too', async () => {
		const { info, count } = watched(undefined, { ttl: 60 });
		const [id, start] = [session(), Date.now()];
		const clock = vi.spyOn(Date, 'now').mockReturnValue(start);
		await info.setLogLevel(id, 'info');
		for (const renewals of [1, 2, 3]) {
			clock.mockReturnValue(start + renewals * 35_000);
			await info.touch(id);
			expect(count('put'), `after ${renewals * 35} s`).toBe(1 + renewals);
		}
		clock.mockRestore();
	});

	it.each([60, DAY])('is asked to be renewed each quarter of a ttl of %d seconds', (ttl) => {
		expect(new KVInfoSessionManager(undefined, { ttl }).touchIntervalMs).toBe((ttl * 1_000) / 4);
	});

	it('is not written anew in the first half', async () => {
		const { info, operations } = watched();
		const id = session();
		await info.setClientInfo(id, { name: 'a', version: '1' });
		await info.touch(id);
		await info.getClientInfo(id);
		expect(operations.filter(([method]) => method === 'put')).toHaveLength(1);
	});

	it.each([0, 59, 60.5, Number.NaN, '60'])('cannot be %j seconds', async (ttl) => {
		const make = () => Reflect.construct(KVInfoSessionManager, [undefined, { ttl }]);
		expect(await codeOf(make)).toBe('INVALID_ARGUMENT');
	});
});

describe('the cost', () => {
	it('of reading all three, one after another as the transports do, is one operation', async () => {
		const { info, operations } = watched();
		const id = session();
		await info.setClientInfo(id, { name: 'a', version: '1' });
		operations.length = 0;
		for (let post = 1; post <= 3; post++) {
			await info.getClientCapabilities(id).catch(() => undefined);
			await info.getClientInfo(id).catch(() => undefined);
			await info.getLogLevel(id).catch(() => undefined);
			expect(operations).toHaveLength(post);
		}
	});

	it('of reading is never paid with stale data: each getter alone reads KV', async () => {
		const [info, id] = [new KVInfoSessionManager(), session()];
		await info.setLogLevel(id, 'info');
		expect(await info.getLogLevel(id)).toBe('info');
		await kv.put(`tmcp:log_level:${id}`, '"error"');
		expect(await info.getLogLevel(id)).toBe('error');
	});

	it('of 2,500 subscribers is three lists and no get, and all of them are returned', async () => {
		const { info, operations } = watched();
		const uri = resource();
		const ids = Array.from({ length: 2_500 }, (_, i) => `${session()}-${i}`);
		await Promise.all(ids.map((id) => info.addSubscription(id, uri)));
		operations.length = 0;
		expect((await info.getSubscriptions(uri)).toSorted()).toEqual(ids.toSorted());
		expect(operations.map(([method]) => method)).toEqual(['list', 'list', 'list']);
	}, 60_000);

	it('of removing one subscription is two deletes and no list', async () => {
		const { info, operations } = watched();
		const [id, uri] = [session(), resource()];
		await info.addSubscription(id, uri);
		operations.length = 0;
		await info.removeSubscription(id, uri);
		expect(operations.map(([method]) => method)).toEqual(['delete', 'delete']);
	});

	it('of deleting a session is what the session used, however many keys the namespace holds', async () => {
		const { info, operations } = watched();
		const id = session();
		const others = Array.from({ length: 1_100 }, () => session());
		const uri = resource();
		await Promise.all(others.map((other) => info.addSubscription(other, uri)));
		const keys = await keysMadeBy(async () => {
			await info.setClientInfo(id, { name: 'a', version: '1' });
			await info.addSubscription(id, uri);
			await info.addSubscription(id, resource());
		});
		operations.length = 0;
		await info.delete(id);
		expect(operations.filter(([method]) => method === 'list')).toHaveLength(1);
		expect(operations.filter(([method]) => method === 'delete')).toHaveLength(3 + 4);
		expect(
			operations.filter(([method]) => method === 'get' || method === 'getWithMetadata'),
		).toEqual([]);
		const left = await allKeys();
		for (const name of keys.keys()) expect(left.has(name)).toBe(false);
		expect(await info.getSubscriptions(uri)).toHaveLength(others.length);
	}, 30_000);

	it('of deleting a session may be more than an invocation has: the next delete removes the rest', async () => {
		let budget = Infinity;
		const { info, errors } = watched(() =>
			--budget < 0 ? new Error('Too many API requests by single worker invocation.') : undefined,
		);
		const id = session();
		const keys = await keysMadeBy(() =>
			Promise.all(Array.from({ length: 700 }, () => info.addSubscription(id, resource()))),
		);
		expect(keys.size).toBe(1_400);
		const left = async () => {
			const all = await allKeys();
			return [...keys.keys()].filter((name) => all.has(name));
		};
		budget = 1_000;
		await info.delete(id);
		expect(await left()).not.toEqual([]);
		expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['SESSION_INFO_WRITE_FAILED']));
		errors.length = 0;
		budget = 1_000;
		await info.delete(id);
		expect(await left()).toEqual([]);
		expect(errors).toEqual([]);
	}, 30_000);

	it('of deleting a session again is that of what the first delete failed at', async () => {
		const { info, errors } = watched((method, key, nth) =>
			method === 'delete' && key.startsWith('tmcp:subscriptions:') && nth === 1
				? new Error('KV DELETE failed: 500')
				: undefined,
		);
		const [id, uri] = [session(), resource()];
		const keys = await keysMadeBy(() => info.addSubscription(id, uri));
		await info.delete(id);
		expect(errors.map(({ code }) => code)).toEqual(['SESSION_INFO_WRITE_FAILED']);
		expect((await keysOf(id)).toSorted()).toEqual([...keys.keys()].toSorted());
		await info.delete(id);
		expect(await keysOf(id)).toEqual([]);
	});
});

describe('a renewal of what KV is slow to answer', () => {
	const reads = new Set<Method>(['get', 'getWithMetadata', 'list']);

	/** A session in the second half of its life, by a manager whose reads take 100 ms, before or after KV has read. */
	async function aged(slow: 'before' | 'after') {
		const [id, uri] = [session(), resource()];
		const operations: Method[] = [];
		const distant = wrapped(async (method, _, call) => {
			operations.push(method);
			const isSlow = reads.has(method);
			if (isSlow && slow === 'before') await scheduler.wait(100);
			const answer = await call();
			if (isSlow && slow === 'after') await scheduler.wait(100);
			return answer;
		});
		const keys = await keysMadeBy(() => everythingOf(new KVInfoSessionManager(), id, uri));
		await age(keys.keys(), DAY);
		const info = new KVInfoSessionManager(distant, { ttl: DAY });
		/** A read that begins when the renewal has begun ends when the renewal's reads have ended; a write after it, too. */
		const renewed = async () => {
			await vi.waitFor(() => expect(operations).toContain('list'));
			await info.getSubscriptions(resource());
			await info.setLogLevel(session(), 'info');
			await info.setLogLevel(session(), 'info');
		};
		return { info, id, uri, renewed };
	}

	it.each(['before', 'after'] as const)(
		'does not undo what the request that caused it changes (reads slow %s)',
		async (slow) => {
			const { info, id, uri, renewed } = await aged(slow);
			await info.getClientCapabilities(id);
			await Promise.all([info.setLogLevel(id, 'error'), info.removeSubscription(id, uri)]);
			await renewed();
			expect(await kv.get(`tmcp:log_level:${id}`)).toBe('"error"');
			expect(await info.getSubscriptions(uri)).toEqual([]);
			expect(await keysOf(id)).toHaveLength(3);
		},
	);

	it.each(['before', 'after'] as const)(
		'does not undo a change that is made while it reads (reads slow %s)',
		async (slow) => {
			const { info, id, uri, renewed } = await aged(slow);
			const touched = info.touch(id);
			await info.getLogLevel(id);
			await scheduler.wait(50);
			await Promise.all([info.setLogLevel(id, 'error'), info.removeSubscription(id, uri)]);
			await Promise.all([touched, renewed()]);
			expect(await kv.get(`tmcp:log_level:${id}`)).toBe('"error"');
			expect(await info.getSubscriptions(uri)).toEqual([]);
		},
	);

	it.each(['before', 'after'] as const)(
		'does not bring a session back that is deleted meanwhile (reads slow %s)',
		async (slow) => {
			const { info, id, renewed } = await aged(slow);
			await info.getClientCapabilities(id);
			await info.delete(id);
			await renewed();
			expect(await keysOf(id)).toEqual([]);
		},
	);
});

describe('two writes of one key that overlap, the older one being slow', () => {
	/** KV whose first write of each key takes 200 ms. */
	const slowAtFirst = () =>
		watched((method, _, nth) => (method === 'put' && nth === 1 ? scheduler.wait(200) : undefined));

	it('leave the newer log level', async () => {
		const [{ info, errors }, id] = [slowAtFirst(), session()];
		await Promise.all([info.setLogLevel(id, 'debug'), info.setLogLevel(id, 'error')]);
		expect(await kv.get(`tmcp:log_level:${id}`)).toBe('"error"');
		expect(errors).toEqual([]);
	});

	it('leave a session unsubscribed that subscribed and unsubscribed', async () => {
		const [{ info, errors }, id, uri] = [slowAtFirst(), session(), resource()];
		const keys = await keysMadeBy(() =>
			Promise.all([info.addSubscription(id, uri), info.removeSubscription(id, uri)]),
		);
		expect([...keys.keys()]).toEqual([]);
		expect(errors).toEqual([]);
	});

	it('leave a session subscribed that unsubscribed and subscribed', async () => {
		const { info, errors } = watched((method, _, nth) =>
			method === 'delete' && nth === 1 ? scheduler.wait(200) : undefined,
		);
		const [id, uri] = [session(), resource()];
		await info.addSubscription(id, uri);
		await Promise.all([info.removeSubscription(id, uri), info.addSubscription(id, uri)]);
		expect(await new KVInfoSessionManager().getSubscriptions(uri)).toEqual([id]);
		expect(errors).toEqual([]);
	});

	it('leave nothing of a session that was deleted', async () => {
		const [{ info, errors }, id] = [slowAtFirst(), session()];
		const keys = await keysMadeBy(() =>
			Promise.all([
				info.setClientInfo(id, { name: 'a', version: '1' }),
				info.setLogLevel(id, 'debug'),
				info.delete(id),
			]),
		);
		expect([...keys.keys()]).toEqual([]);
		expect(errors).toEqual([]);
	});

	it('leave the newest of 200 log levels, with one write more at most for each', async () => {
		const { info, count } = watched((method) =>
			method === 'put' ? scheduler.wait(50 + Math.random() * 100) : undefined,
		);
		const id = session();
		const writes: Promise<void>[] = [];
		for (let nth = 1; nth <= 200; nth++) {
			writes.push(info.setLogLevel(id, nth === 200 ? 'alert' : 'debug'));
			await scheduler.wait(2);
		}
		await Promise.all(writes);
		expect(await kv.get(`tmcp:log_level:${id}`)).toBe('"alert"');
		expect(count('put')).toBeLessThanOrEqual(2 * 200);
	}, 10_000);

	it('leave the newer one where KV stores the older one last and confirms it first', async () => {
		const older = Promise.withResolvers<void>();
		let puts = 0;
		const reordering = wrapped(async (method, _, call) => {
			const nth = method === 'put' ? ++puts : 0;
			if (nth === 1) await scheduler.wait(50);
			const answer = await call();
			if (nth === 1) older.resolve();
			if (nth === 2) await older.promise.then(() => scheduler.wait(50));
			return answer;
		});
		const [info, id] = [new KVInfoSessionManager(reordering), session()];
		await Promise.all([info.setLogLevel(id, 'debug'), info.setLogLevel(id, 'error')]);
		expect(await kv.get(`tmcp:log_level:${id}`)).toBe('"error"');
	});

	it('are seen by this instance’s reads at once, the newer one', async () => {
		const [{ info }, id, uri] = [slowAtFirst(), session(), resource()];
		const writes = [info.setLogLevel(id, 'debug'), info.setLogLevel(id, 'error')];
		expect(await info.getLogLevel(id)).toBe('error');
		await Promise.all(writes);
		await Promise.all([info.addSubscription(id, uri), info.delete(id)]);
		expect(await info.getSubscriptions(uri)).toEqual([]);
	});
});

describe('a write that KV refuses', () => {
	const tooMany = new Error('KV PUT failed: 429 Too Many Requests');

	it('with 429 is tried again', async () => {
		const { info, operations, errors } = watched((method, _, nth) =>
			method === 'put' && nth <= 2 ? tooMany : undefined,
		);
		const id = session();
		await info.setLogLevel(id, 'error');
		expect(operations.filter(([method]) => method === 'put')).toHaveLength(3);
		expect(errors).toEqual([]);
		expect(await kv.get(`tmcp:log_level:${id}`)).toBe('"error"');
	}, 10_000);

	it('with 429 does not undo a newer one of the same key when it is tried again', async () => {
		const { info, errors } = watched((method, _, nth) =>
			method === 'put' && nth === 1 ? tooMany : undefined,
		);
		const id = session();
		await Promise.all([info.setLogLevel(id, 'debug'), info.setLogLevel(id, 'error')]);
		expect(await kv.get(`tmcp:log_level:${id}`)).toBe('"error"');
		expect(errors).toEqual([]);
	}, 10_000);

	const noPut = (method: Method) =>
		method === 'put' ? new Error('KV PUT failed: 500') : undefined;

	it('for good is reported once, and never rejects', async () => {
		const { info, errors } = watched(noPut);
		const id = session();
		await info.setLogLevel(id, 'error');
		expect(errors.map(({ code }) => code)).toEqual(['SESSION_INFO_WRITE_FAILED']);
		expect(errors[0]?.message).toContain(`tmcp:log_level:${await shortHash(id)}`);
	});

	it('for good is reported for each of the two writes of a subscription', async () => {
		const { info, errors } = watched(noPut);
		const [id, uri] = [session(), resource()];
		await info.addSubscription(id, uri);
		expect(errors.map(({ code }) => code)).toEqual([
			'SESSION_INFO_WRITE_FAILED',
			'SESSION_INFO_WRITE_FAILED',
		]);
		for (const prefix of [subscribersPrefix(await hash(uri)), await subscribedPrefix(id)])
			expect(errors.filter(({ message }) => message.includes(prefix))).toHaveLength(1);
	});

	it.each([
		[
			'throws',
			() => {
				throw new Error('a bad onError');
			},
		],
		['rejects', () => Promise.reject(new Error('a bad onError'))],
	])('is logged where onError %s, and never rejects', async (_, onError) => {
		const log = vi.spyOn(console, 'error').mockImplementation(() => {});
		const info = new KVInfoSessionManager(undefined, { onError });
		await expect(info.setLogLevel('a b', 'info')).resolves.toBeUndefined();
		expect(log.mock.calls).toEqual([
			[
				expect.objectContaining({ code: 'INVALID_SESSION_ID' }),
				expect.any(String),
				expect.objectContaining({ message: 'a bad onError' }),
			],
		]);
		log.mockRestore();
	});

	it('is reported by delete too, where KV takes nothing at all', async () => {
		const { info, errors } = watched(() => new Error('KV: 503'));
		const id = session();
		await info.delete(id);
		expect(errors.map(({ code }) => code).toSorted()).toEqual([
			'SESSION_INFO_READ_FAILED',
			'SESSION_INFO_WRITE_FAILED',
			'SESSION_INFO_WRITE_FAILED',
			'SESSION_INFO_WRITE_FAILED',
		]);
	});

	it('for good is one console.error where no onError was given', async () => {
		const log = vi.spyOn(console, 'error').mockImplementation(() => {});
		const broken = wrapped((method, _, call) =>
			method === 'put' ? Promise.reject(new Error('broken')) : call(),
		);
		await new KVInfoSessionManager(broken).setLogLevel(session(), 'info');
		expect(log).toHaveBeenCalledTimes(1);
		log.mockRestore();
	});
});

describe('a read that KV refuses', () => {
	it('is a coded error', async () => {
		const { info } = watched((method) =>
			method === 'put' || method === 'delete' ? undefined : new Error('KV: 503'),
		);
		expect(await codeOf(() => info.getClientInfo(session()))).toBe('SESSION_INFO_READ_FAILED');
		expect(await codeOf(() => info.getSubscriptions(resource()))).toBe('SESSION_INFO_READ_FAILED');
	});
});

describe('bad input', () => {
	it.each([
		[
			'a session id with a space',
			(info: KVInfoSessionManager) => info.setLogLevel('a b', 'info'),
			'INVALID_SESSION_ID',
		],
		[
			'client info without a version',
			(info: KVInfoSessionManager) => Reflect.apply(info.setClientInfo, info, ['a', { name: 'x' }]),
			'INVALID_ARGUMENT',
		],
		[
			'a log level that there is not',
			(info: KVInfoSessionManager) => Reflect.apply(info.setLogLevel, info, ['a', 'loud']),
			'INVALID_ARGUMENT',
		],
		[
			'a URI that is no string',
			(info: KVInfoSessionManager) => Reflect.apply(info.addSubscription, info, ['a', 1]),
			'INVALID_ARGUMENT',
		],
	])('to a setter (%s) is reported, and nothing is written', async (_, call, code) => {
		const { info, operations, errors } = watched();
		await call(info);
		expect(errors.map((error) => error.code)).toEqual([code]);
		expect(operations).toEqual([]);
	});

	it('to a getter is a coded error, and nothing is read', async () => {
		const { info, operations } = watched();
		expect(await codeOf(() => info.getClientInfo('é'))).toBe('INVALID_SESSION_ID');
		expect(await codeOf(() => Reflect.apply(info.getSubscriptions, info, [undefined]))).toBe(
			'INVALID_ARGUMENT',
		);
		expect(operations).toEqual([]);
	});
});

describe('a session id, which is a credential, stands in no error', () => {
	const everyError = (errors: unknown[]) =>
		errors.map((error) => `${String(error)} ${String(Reflect.get(Object(error), 'cause'))}`).join();

	it('of a setter, a subscription or a delete whose write KV refuses', async () => {
		const { info, errors } = watched((method) =>
			method === 'put' || method === 'delete' ? new Error('KV: 500') : undefined,
		);
		const id = session();
		await everythingOf(info, id, resource());
		await info.removeSubscription(id, resource());
		await info.delete(id);
		expect(errors).toHaveLength(3 + 2 + 2 + 3);
		expect(everyError(errors)).not.toContain(id);
	});

	it.each([
		['nothing', undefined],
		['something damaged', '['],
	])('of a getter where %s is stored', async (_, text) => {
		const [info, id] = [new KVInfoSessionManager(), session()];
		if (text !== undefined) await kv.put(`tmcp:log_level:${id}`, text);
		const error = await info.getLogLevel(id).catch((thrown: unknown) => thrown);
		expect(error).toBeInstanceOf(Error);
		expect(everyError([error])).not.toContain(id);
	});

	it('of a setter that refuses a value, also where the value is the id', async () => {
		const { info, errors } = watched();
		const id = session();
		await Reflect.apply(info.setClientInfo, info, [id, { name: 'x' }]);
		await Reflect.apply(info.setLogLevel, info, [id, id]);
		expect(errors).toHaveLength(2);
		expect(everyError(errors)).not.toContain(id);
	});
});
