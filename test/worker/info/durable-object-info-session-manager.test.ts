import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { SyncLayerNamespace } from '../../../src/advanced.ts';
import {
	DurableObjectInfoSessionManager,
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
	SessionHomes,
	type SessionManagerError,
	SyncLayer,
} from '../../../src/index.ts';
import { AdmittedSession } from '../../../src/object/sessions/admitted-session.ts';
import { hash } from '../../../src/worker/hash.ts';
import { type RequestScope, runInScope } from '../../../src/worker/request/request-scope.ts';
import { callObject } from '../../../src/worker/routing/object.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { keysOf } from '../../support/kv.ts';
import { objectOf } from '../../support/objects.ts';
import { calls, RESOURCES, seen, sent } from '../../support/worker/lives.ts';
import { INITIALIZE, SessionClient } from '../gateway/client.ts';

const session = () => `session:${crypto.randomUUID()}`;
const resource = () => `memo://${crypto.randomUUID()}`;
const CLIENT = { name: 'client', version: '1' };

/** A manager whose calls of the object are counted, and fail when they are told to. */
function watched(fail: (method: string) => unknown = () => undefined) {
	const asked: string[] = [];
	const errors: SessionManagerError[] = [];
	const namespace: SyncLayerNamespace = new Proxy(env.TMCP_DURABLE_OBJECT, {
		get: (target, name) =>
			name === 'getByName'
				? (of: string) =>
						new Proxy(target.getByName(of), {
							get(stub, method) {
								const call: unknown = Reflect.get(stub, method);
								if (typeof call !== 'function') return call;
								return async (...args: unknown[]) => {
									// That there is such a home is told once, to the first one.
									if (method !== 'registerHome') asked.push(String(method));
									const error = fail(String(method));
									if (error) throw error;
									return Reflect.apply(call, stub, args);
								};
							},
						})
				: Reflect.get(target, name),
	});
	const onError = (error: SessionManagerError) => void errors.push(error);
	const info = new DurableObjectInfoSessionManager(namespace, { onError });
	return { info, asked, errors };
}

describe('what is written', () => {
	it('together arrives in one call, in its order', async () => {
		const { info, asked } = watched();
		const [id, uri] = [session(), resource()];
		void info.setClientCapabilities(id, { roots: {} });
		void info.setClientInfo(id, CLIENT);
		void info.addSubscription(id, uri);
		void info.removeSubscription(id, uri);
		void info.setLogLevel(id, 'alert');
		await info.setLogLevel(id, 'debug');
		expect(asked).toEqual(['inform']);
		expect(await info.getLogLevel(id)).toBe('debug');
		expect(await info.getSubscriptions(uri)).toEqual([]);
	});

	it('is seen by whoever asks in the same request, and by the next notification', async () => {
		const { info } = watched();
		const [id, uri] = [session(), resource()];
		void info.addSubscription(id, uri);
		expect(await info.getSubscriptions(uri)).toEqual([id]);
		void info.setClientInfo(id, CLIENT);
		expect(await info.getClientInfo(id)).toEqual(CLIENT);
		void info.setClientInfo(id, undefined);
		expect(await codeOf(() => info.getClientInfo(id))).toBe('SESSION_INFO_NOT_FOUND');
	});

	it.each([
		[
			'client info',
			(info: DurableObjectInfoSessionManager) => info.setClientInfo('a', 'x' as never),
		],
		['capabilities', (info) => info.setClientCapabilities('a', [] as never)],
		['a log level', (info) => info.setLogLevel('a', 'loud' as never)],
		['a URI', (info) => info.addSubscription('a', 5 as never)],
		['a long URI', (info) => info.addSubscription('a', 'x'.repeat(65_537))],
	] satisfies [string, (info: DurableObjectInfoSessionManager) => Promise<void>][])(
		'and is no %s is reported, and asks for nothing',
		async (_, write) => {
			const { info, asked, errors } = watched();
			await write(info);
			expect(errors.map(({ code }) => code)).toEqual(['INVALID_ARGUMENT']);
			expect(asked).toEqual([]);
		},
	);

	it('and refused, or lost, is reported once, and never thrown', async () => {
		const { info, errors } = watched((method) => method === 'inform' && new Error('away'));
		const id = session();
		await Promise.all([info.setClientInfo(id, CLIENT), info.setClientCapabilities(id, {})]);
		await info.setLogLevel('', 'info');
		expect(errors.map(({ code }) => code)).toEqual(['OBJECT_FAILED', 'INVALID_SESSION_ID']);
		const large = watched();
		await large.info.setClientInfo(id, { ...CLIENT, title: 'x'.repeat(40_000) });
		expect(large.errors.map(({ code }) => code)).toEqual(['PAYLOAD_TOO_LARGE']);
	});

	it('is there for every instance at once, and after the object’s sleep', async () => {
		const [one, two] = [watched().info, watched().info];
		const id = session();
		await one.setLogLevel(id, 'info');
		expect(await two.getLogLevel(id)).toBe('info');
		await two.setLogLevel(id, 'alert');
		expect(await one.getLogLevel(id)).toBe('alert');
		await evictDurableObject(objectOf(id));
		expect(await one.getLogLevel(id)).toBe('alert');
	});
});

describe('what is read', () => {
	it('takes one call for the three questions of a request', async () => {
		const { info, asked } = watched();
		const id = session();
		await info.setClientInfo(id, CLIENT);
		asked.length = 0;
		const ask = async () => {
			await info.getClientCapabilities(id).catch(() => {});
			await info.getClientInfo(id);
			await info.getLogLevel(id).catch(() => {});
		};
		await ask();
		expect(asked).toEqual(['infoOf']);
		await ask();
		expect(asked).toEqual(['infoOf', 'infoOf']);
	});

	it('and damaged gives a coded error, which harms nothing else', async () => {
		const { info } = watched();
		const id = session();
		await info.setLogLevel(id, 'info');
		const object = objectOf(id);
		await runInDurableObject(object, (_, { storage }) => {
			const damaged = JSON.stringify({ logLevel: 'info', clientInfo: [] });
			storage.sql.exec('UPDATE tmcp_sessions SET info = ? WHERE session_id = ?', damaged, id);
		});
		await evictDurableObject(object);
		expect(await codeOf(() => info.getClientInfo(id))).toBe('SESSION_INFO_DAMAGED');
		expect(await info.getLogLevel(id)).toBe('info');
	});

	it('and cannot be is a coded error', async () => {
		const { info } = watched((method) => method === 'infoOf' && new Error('away'));
		expect(await codeOf(() => info.getLogLevel(session()))).toBe('OBJECT_FAILED');
		expect(await codeOf(() => info.getLogLevel(''))).toBe('INVALID_SESSION_ID');
	});
});

describe('with a transport', () => {
	let client: SessionClient;
	const call = async (name: string) => {
		calls.length = 0;
		sent.length = 0;
		seen.length = 0;
		await client.call(name);
	};

	it.each([
		['a gateway', '/lives/object-gateway', 'rpc admitWithInfo'],
		['no gateway', '/lives/object', 'rpc infoOf'],
	])(
		'and %s, one round trip tells all before a tool runs, and KV is not asked',
		async (_, path, one) => {
			client = await SessionClient.begin(path);
			await (await client.post('logging/setLevel', { level: 'alert' })).arrayBuffer();
			await vi.waitFor(async () => {
				await call('look');
				expect(seen).toEqual([{ client: 'test-client', logLevel: 'alert', calls: 1 }]);
			});
			expect(calls).toEqual([one]);
		},
	);

	it('and a gateway, an initialize takes one call and one row', async () => {
		calls.length = 0;
		client = await SessionClient.begin('/lives/object-gateway');
		expect(calls.filter((of) => of !== 'rpc registerHome')).toEqual(['rpc begin']);
		const object = env.TMCP_DURABLE_OBJECT.getByName('/lives/object-gateway');
		expect(JSON.parse((await object.infoOf(client.sessionId)) ?? '')).toEqual({
			clientInfo: INITIALIZE.clientInfo,
			clientCapabilities: {},
		});
	});

	describe('and a gateway, what a request changes', () => {
		const path = '/lives/object-gateway';
		const object = env.TMCP_DURABLE_OBJECT.getByName(path);
		const changing = async (method: string, params: object) => {
			calls.length = 0;
			await (await client.post(method, params)).arrayBuffer();
		};

		it('is part of the call that admitted it', async () => {
			client = await SessionClient.begin(path);
			const hashed = await hash(RESOURCES[1]);
			const isSubscribed = async () =>
				(await object.subscribersOf(hashed)).includes(client.sessionId);
			await changing('logging/setLevel', { level: 'alert' });
			await vi.waitFor(async () =>
				expect(await object.infoOf(client.sessionId)).toContain('"logLevel":"alert"'),
			);
			expect(calls).toEqual(['rpc admitWithInfo']);
			await changing('resources/subscribe', { uri: RESOURCES[1] });
			await vi.waitFor(async () => expect(await isSubscribed()).toBe(true));
			expect(calls).toEqual(['rpc admitWithInfo']);
			await changing('resources/unsubscribe', { uri: RESOURCES[1] });
			await vi.waitFor(async () => expect(await isSubscribed()).toBe(false));
			expect(calls).toEqual(['rpc admitWithInfo']);
		});

		it('leaves nothing that keeps the object awake, and a tool call never has such a thing', async () => {
			client = await SessionClient.begin(path);
			const held = { made: 0, disposed: 0 };
			const admitWithInfo = vi.spyOn(SyncLayer.prototype, 'admitWithInfo');
			// The runtime calls it when nobody holds a stub of it any more.
			Object.defineProperty(AdmittedSession.prototype, Symbol.dispose, {
				configurable: true,
				value: () => held.disposed++,
			});
			try {
				await changing('logging/setLevel', { level: 'alert' });
				await changing('logging/setLevel', { level: 'loud' });
				await changing('resources/subscribe', { uri: RESOURCES[1] });
				await changing('resources/subscribe', { uri: 5 });
				await changing('resources/subscribe', { uri: 'memo://nowhere' });
				await changing('tools/call', { name: 'look', arguments: {} });
				const stream = await client.open();
				held.made = admitWithInfo.mock.calls.filter(([, , next]) => next === 'change').length;
				expect(held.made).toBe(5);
				await vi.waitFor(() => expect(held.disposed).toBe(5));
				await stream.cancel();
			} finally {
				Reflect.deleteProperty(AdmittedSession.prototype, Symbol.dispose);
				admitWithInfo.mockRestore();
			}
		});

		it('ends the session in one call, and leaves nothing of it', async () => {
			client = await SessionClient.begin(path);
			await changing('resources/subscribe', { uri: RESOURCES[2] });
			calls.length = 0;
			expect((await client.fetch('DELETE')).status).toBe(200);
			// Each other home that is used is told, too.
			expect(calls).toEqual((await object.homes()).map(() => 'rpc relay'));
			expect(await object.infoOf(client.sessionId)).toBeUndefined();
			expect(await object.subscribersOf(await hash(RESOURCES[2]))).not.toContain(client.sessionId);
			expect((await client.post('tools/list')).status).toBe(404);
			expect((await client.fetch('DELETE')).status).toBe(404);
		});
	});

	it.each([
		['one call of each home that is used, without an id', 'object', []],
		[
			'that and one to the home of its subscriber, where the managers were given as they are',
			'object-plain',
			['rpc broadcast'],
		],
	])('the update of a resource is %s', async (_, subject, more) => {
		client = await SessionClient.begin(`/lives/${subject}`);
		const stream = await client.open();
		await (await client.post('resources/subscribe', { uri: RESOURCES[0] })).arrayBuffer();
		await call('update');
		await stream.until(() => stream.raw.includes('resources/updated'), 'the update');
		const asked = calls.filter((of) => of !== 'rpc infoOf');
		const used = await env.TMCP_DURABLE_OBJECT.getByName(`/lives/${subject}`).homes();
		expect(asked).toEqual([...used.map(() => 'rpc relay'), ...more]);
		const isNamed = sent.some(
			([batch]) => Array.isArray(batch) && JSON.stringify(batch).includes(client.sessionId),
		);
		expect(isNamed).toBe(subject === 'object-plain');
		await stream.cancel();
	});

	it('an update reaches whoever has subscribed, and waits for whoever is away', async () => {
		const info = new DurableObjectInfoSessionManager();
		const streams = new DurableObjectStreamSessionManager();
		const managers = info.with(streams);
		const [here, away, uri] = [session(), session(), resource()];
		let stream = new EventStream(
			new ReadableStream({ start: (controller) => streams.create(here, controller) }),
		);
		void info.addSubscription(here, uri);
		void info.addSubscription(away, uri);
		const subscribers = await managers.info.getSubscriptions(uri);
		await managers.streams.send(subscribers, 'event: message\ndata: {"updated":1}\n\n');
		expect(await stream.messages(1)).toEqual([{ updated: 1 }]);
		stream = new EventStream(
			new ReadableStream({ start: (controller) => streams.create(away, controller) }),
		);
		expect(await stream.messages(1)).toEqual([{ updated: 1 }]);
		await info.delete(here);
		expect(await info.getSubscriptions(uri)).toEqual([away]);
	});

	it('the subscribers that only the object knows cannot be read by mistake', async () => {
		const { info } = new DurableObjectInfoSessionManager().with(
			new DurableObjectStreamSessionManager(),
		);
		const subscribers = await info.getSubscriptions(resource());
		expect(await codeOf(() => subscribers.length)).toBe('INVALID_ARGUMENT');
		expect(await codeOf(() => [...subscribers])).toBe('INVALID_ARGUMENT');
		expect(await codeOf(() => JSON.stringify(subscribers))).toBe('INVALID_ARGUMENT');
	});
});

describe('a session that was admitted for a change', () => {
	const OWNER = 'o'.repeat(43);
	const scope = (): RequestScope => ({
		account: undefined,
		ownerHash: OWNER,
		lastEventId: undefined,
		takesOver: false,
		primingEvent: undefined,
	});
	let id: string;
	beforeEach(async () => {
		id = session();
		await callObject(new SessionHomes().toBegin(id), (stub) => stub.begin(id, OWNER));
	});

	it('is changed by a call of its own where the object was restarted in between', async () => {
		const { info, asked, errors } = watched();
		await runInScope(scope(), async () => {
			expect(await info.admit(id, OWNER, true)).toBe(true);
			await abortAllDurableObjects();
			await info.setLogLevel(id, 'alert');
			await info.setLogLevel(id, 'debug');
			expect(await info.getLogLevel(id)).toBe('debug');
		});
		expect(asked).toEqual(['admitWithInfo', 'inform', 'inform', 'infoOf']);
		expect(errors).toEqual([]);
	});

	it('is told once what the object refuses', async () => {
		const { info, asked, errors } = watched();
		await runInScope(scope(), async () => {
			await info.admit(id, OWNER, true);
			await info.setClientInfo(id, { ...CLIENT, title: 'x'.repeat(40_000) });
		});
		expect(asked).toEqual(['admitWithInfo']);
		expect(errors.map(({ code }) => code)).toEqual(['PAYLOAD_TOO_LARGE']);
	});

	it('is the only one that is changed in this way', async () => {
		const { info, asked } = watched();
		const other = session();
		await runInScope(scope(), async () => {
			await info.admit(id, OWNER, true);
			await info.setLogLevel(other, 'alert');
		});
		expect(asked).toEqual(['admitWithInfo', 'inform']);
		expect(await info.getLogLevel(other)).toBe('alert');
	});
});

describe('a session that KV knows', () => {
	const kv = new KVInfoSessionManager();
	let id: string;
	let uri: string;

	beforeEach(async () => {
		[id, uri] = [session(), resource()];
		await kv.setClientInfo(id, CLIENT);
		await kv.setLogLevel(id, 'alert');
		await kv.addSubscription(id, uri);
	});

	const moving = () => new DurableObjectInfoSessionManager(undefined, { fallback: kv });

	it('is moved when it is asked for first, and KV is not asked again', async () => {
		const info = moving();
		expect(await info.getSubscriptions(uri)).toEqual([id]);
		expect(await info.getClientInfo(id)).toEqual(CLIENT);
		expect(await info.getLogLevel(id)).toBe('alert');
		expect(await codeOf(() => info.getClientCapabilities(id))).toBe('SESSION_INFO_NOT_FOUND');
		expect(await keysOf(id)).toEqual([]);
		const later = new DurableObjectInfoSessionManager();
		expect(await later.getLogLevel(id)).toBe('alert');
		expect(await later.getSubscriptions(uri)).toEqual([id]);
		await info.removeSubscription(id, uri);
		expect(await info.getSubscriptions(uri)).toEqual([]);
	});

	it('is not moved without being told so', async () => {
		const info = new DurableObjectInfoSessionManager();
		expect(await codeOf(() => info.getLogLevel(id))).toBe('SESSION_INFO_NOT_FOUND');
		expect(await info.getSubscriptions(uri)).toEqual([]);
	});

	it('is deleted there as well', async () => {
		const info = moving();
		await info.delete(id);
		expect(await info.getSubscriptions(uri)).toEqual([]);
		expect(await codeOf(() => info.getLogLevel(id))).toBe('SESSION_INFO_NOT_FOUND');
	});

	it('is asked for once where KV knows nothing of it', async () => {
		const client = await SessionClient.begin('/lives/changed-over');
		calls.length = 0;
		await client.call('look');
		await client.call('look');
		expect(calls).toEqual(['rpc admitWithInfo', 'rpc admitWithInfo']);
	});
});

it('options that are none are refused', async () => {
	const make = (options: object) => () => new DurableObjectInfoSessionManager(undefined, options);
	expect(await codeOf(make({ fallback: {} }))).toBe('INVALID_ARGUMENT');
	expect(await codeOf(make({ ttl: 60 }))).toBe('INVALID_ARGUMENT');
});
