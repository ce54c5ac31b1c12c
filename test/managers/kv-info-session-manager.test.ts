import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { KVInfoSessionManager, type SessionManagerError } from '../../src/index.ts';
import { codeOf } from '../support/codes.ts';

const kv = env.TMCP_SESSION_INFO;
const DAY = 24 * 60 * 60;
const now = () => Math.floor(Date.now() / 1000);

const session = () => `session:${crypto.randomUUID()}`;
const resource = () => `memo://${crypto.randomUUID()}`;

async function allKeys(): Promise<Map<string, number | undefined>> {
	const keys = new Map<string, number | undefined>();
	let cursor: string | null = null;
	for (;;) {
		const page: KVNamespaceListResult<unknown> = await kv.list({ cursor });
		for (const { name, expiration } of page.keys) keys.set(name, expiration);
		if (page.list_complete) return keys;
		cursor = page.cursor;
	}
}

/** Which keys a piece of work makes. */
async function keysMadeBy(work: () => Promise<unknown>): Promise<Map<string, number | undefined>> {
	const before = await allKeys();
	await work();
	return new Map([...(await allKeys())].filter(([name]) => !before.has(name)));
}

type Method = 'get' | 'getWithMetadata' | 'list' | 'put' | 'delete';

/** KV with a count of its operations, and a fault for some of them. */
function watched(
	fault: (method: Method, key: string, nth: number) => Error | undefined = () => undefined,
) {
	const operations: [Method, string][] = [];
	const namespace = new Proxy(kv, {
		get(target, name: Method) {
			return async (...args: unknown[]) => {
				const key = typeof args[0] === 'string' ? args[0] : JSON.stringify(args[0]);
				operations.push([name, key]);
				const nth = operations.filter(([method, of]) => method === name && of === key).length;
				const error = fault(name, key, nth);
				if (error) throw error;
				return Reflect.apply(Reflect.get(target, name), target, args);
			};
		},
	});
	const errors: SessionManagerError[] = [];
	const onError = (error: SessionManagerError) => void errors.push(error);
	return { info: new KVInfoSessionManager(namespace, { onError }), operations, errors };
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
		const damaged = /"SESSION_INFO_DAMAGED"/;
		expect(JSON.stringify(await codeOf(() => info.getClientInfo(id)))).toMatch(damaged);
		expect(JSON.stringify(await codeOf(() => info.getLogLevel(id)))).toMatch(damaged);
		if (text !== '[1]')
			expect(JSON.stringify(await codeOf(() => info.getClientCapabilities(id)))).toMatch(damaged);
	});

	it('is damaged in one place without harm to another', async () => {
		const [info, id] = [new KVInfoSessionManager(), session()];
		await info.setLogLevel(id, 'info');
		await kv.put(`tmcp:client_info:${id}`, '{');
		expect(await codeOf(() => info.getClientInfo(id))).toBe('SESSION_INFO_DAMAGED');
		expect(await info.getLogLevel(id)).toBe('info');
	});
});

describe('expiry', () => {
	async function everythingOf(info: KVInfoSessionManager, id: string, uri: string): Promise<void> {
		await info.setClientInfo(id, { name: 'a', version: '1' });
		await info.setClientCapabilities(id, {});
		await info.setLogLevel(id, 'info');
		await info.addSubscription(id, uri);
	}

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
			for (const name of keys.keys()) {
				const metadata = { at: now() - 0.6 * DAY };
				await kv.put(name, (await kv.get(name)) ?? '', { expirationTtl: 0.4 * DAY, metadata });
			}
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

	it('of more than 1,000 subscriptions of one session is no reason to leave any behind', async () => {
		const [info, id] = [new KVInfoSessionManager(), session()];
		const keys = await keysMadeBy(() =>
			Promise.all(Array.from({ length: 1_050 }, () => info.addSubscription(id, resource()))),
		);
		expect(keys.size).toBe(2_100);
		await info.delete(id);
		const left = await allKeys();
		expect([...keys.keys()].filter((name) => left.has(name))).toEqual([]);
	}, 30_000);
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

	it('for good is reported once, and never rejects', async () => {
		const { info, errors } = watched((method) =>
			method === 'put' ? new Error('KV PUT failed: 500') : undefined,
		);
		const id = session();
		await info.addSubscription(id, resource());
		await info.setLogLevel(id, 'error');
		expect(errors.map(({ code }) => code)).toEqual([
			'SESSION_INFO_WRITE_FAILED',
			'SESSION_INFO_WRITE_FAILED',
		]);
		expect(errors[1]?.message).toContain(`tmcp:log_level:${id}`);
	});

	it('for good is one console.error where no onError was given', async () => {
		const log = vi.spyOn(console, 'error').mockImplementation(() => {});
		const broken = new Proxy(kv, {
			get: (target, name) =>
				name === 'put' ? () => Promise.reject(new Error('broken')) : Reflect.get(target, name),
		});
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
