import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SyncLayerNamespace } from '../../../src/advanced.ts';
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	type SyncLayer,
} from '../../../src/index.ts';
import { claimOf } from '../../support/claims.ts';
import { EventStream } from '../../support/event-stream.ts';
import { lost, onlyObject } from '../../support/objects.ts';
import { Wire } from '../../support/socket.ts';
import { unread } from '../../support/unread.ts';

/** An object of its own for each test. */
let name: string;
let id: string;
beforeEach(() => {
	[name, id] = [crypto.randomUUID(), crypto.randomUUID()];
});
afterEach(() => {
	vi.restoreAllMocks();
});

const objectOf = (namespace: SyncLayerNamespace) => namespace.getByName(name);
const object = () => objectOf(env.TMCP_DURABLE_OBJECT);
const event = (text: string) => `data: ${JSON.stringify(text)}\n\n`;
const evict = (of = object()) => evictDurableObject(of, { webSockets: 'close' });
const managerOf = (namespace: SyncLayerNamespace = env.TMCP_DURABLE_OBJECT) =>
	new DurableObjectStreamSessionManager(onlyObject(namespace, name));

const untilOpen = (isOpen: boolean, of = object()) =>
	vi.waitFor(async () => expect(await of.has(id)).toBe(isOpen), 3_000);

/** A namespace in which whoever comes back after an eviction has to wait. */
function held(namespace: SyncLayerNamespace) {
	const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
	const wait = async (options: { resume?: boolean | number | undefined } = {}) => {
		if (options.resume === undefined || options.resume === false) return;
		arrived.resolve();
		await gate.promise;
	};
	const holding = onlyObject(namespace, name, (stub) => ({
		fetch: async (...args: Parameters<typeof stub.fetch>) => {
			await wait(claimOf(args));
			return stub.fetch(...args);
		},
		subscribe: async (...args: Parameters<SyncLayer['subscribe']>) => {
			await wait(args[1]);
			return stub.subscribe(...args);
		},
	}));
	return { namespace: holding, arrived: arrived.promise, letThrough: gate.resolve };
}

/** A stream to which three messages were handed that its client has not read; it is not the first of its session. */
async function withBacklog(streams: DurableObjectStreamSessionManager) {
	await Wire.openAgain(object(), id);
	const stream = unread(streams, id);
	await stream.started;
	for (const text of ['a', 'b', 'c']) await object().broadcast([id], event(text));
	await vi.waitFor(() => expect(stream.desiredSize()).toBe(-2));
	return stream;
}

/** What a new stream of the session gets, which says nothing of what the client has. */
async function whatWaits(): Promise<unknown[]> {
	const streams = managerOf();
	const { body, started } = unread(streams, id);
	await started;
	await streams.send([id], event('the end'));
	const stream = new EventStream(body);
	await stream.until(() => stream.events.at(-1) === '"the end"', 'the end');
	await stream.cancel();
	return stream.events.slice(0, -1).map((data): unknown => JSON.parse(data));
}

describe('a client that leaves what it was sent unread', () => {
	it('gets it on its next stream', async () => {
		const { body } = await withBacklog(managerOf());
		await body.cancel();
		await untilOpen(false);
		expect(await whatWaits()).toEqual(['a', 'b', 'c']);
	});

	it('gets it on its next stream, also where it leaves while that one is opening', async () => {
		const [attached, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
		const slow = onlyObject(env.TMCP_DURABLE_OBJECT, name, (stub) => ({
			attach: async (...args: Parameters<SyncLayer['attach']>) => {
				const answer = await stub.attach(...args);
				attached.resolve();
				return answer;
			},
			fetch: async (...request: Parameters<typeof stub.fetch>) => {
				await gate.promise;
				return stub.fetch(...request);
			},
		}));
		const older = await withBacklog(managerOf());
		const newer = unread(new DurableObjectStreamSessionManager(slow), id);
		await attached.promise;
		await older.body.cancel();
		gate.resolve();
		await newer.started;
		const stream = new EventStream(newer.body);
		expect(await stream.messages(3)).toEqual(['a', 'b', 'c']);
		await stream.cancel();
	});

	it('gets it on its next stream, also where it leaves before it is time to come back', async () => {
		const random = vi.spyOn(Math, 'random').mockReturnValue(1);
		const { body } = await withBacklog(managerOf());
		await evict();
		// It is asked for how long to wait.
		await vi.waitFor(() => expect(random).toHaveBeenCalled());
		await body.cancel();
		expect(await whatWaits()).toEqual(['a', 'b', 'c']);
	});

	it('gets it on its next stream, also where it leaves while it comes back', async () => {
		const { namespace, arrived, letThrough } = held(env.TMCP_DURABLE_OBJECT);
		const { body } = await withBacklog(new DurableObjectStreamSessionManager(namespace));
		await evict();
		await arrived;
		await body.cancel();
		letThrough();
		expect(await whatWaits()).toEqual(['a', 'b', 'c']);
		await untilOpen(false);
	});
});

describe('a client that was slow', () => {
	// What it has read is looked for four times a second, and shows nowhere.
	const untilNoticed = () => scheduler.wait(400);

	it('gets none of it again where it has read all when it leaves', async () => {
		const { body } = await withBacklog(managerOf());
		await object().broadcast([id], event('d'));
		const stream = new EventStream(body);
		expect(await stream.messages(4)).toEqual(['a', 'b', 'c', 'd']);
		await untilNoticed();
		await stream.cancel();
		await untilOpen(false);
		expect(await whatWaits()).toEqual([]);
	});

	it('gets the rest where it has read some, also where its stream was between two sockets', async () => {
		const { namespace, arrived, letThrough } = held(env.TMCP_DURABLE_OBJECT);
		const { body } = await withBacklog(new DurableObjectStreamSessionManager(namespace));
		const reader = body.getReader();
		await reader.read();
		await untilNoticed();
		await evict();
		await arrived;
		await reader.cancel();
		letThrough();
		expect(await whatWaits()).toEqual(['b', 'c']);
	});
});

describe.each([
	['detached', 'with the log', env.TMCP_DURABLE_OBJECT, 'detach'],
	['ended', 'with the log', env.TMCP_DURABLE_OBJECT, 'end'],
	['detached', 'without it', env.NO_LOG, 'detach'],
	['ended', 'without it', env.NO_LOG, 'end'],
] as const)('a session that is %s, %s', (_, __, real, method) => {
	const here = () => objectOf(real);

	it('has no stream any more, though that was between two sockets', async () => {
		const { namespace, arrived, letThrough } = held(real);
		const { body, started } = unread(new DurableObjectStreamSessionManager(namespace), id);
		await started;
		await evict(here());
		await arrived;
		await here()[method](id);
		letThrough();
		await expect(new EventStream(body).ended).resolves.toBeUndefined();
		expect(await here().has(id)).toBe(false);
	});

	it('has a stream that comes back, where that began after it', async () => {
		await here()[method](id);
		const { body, started } = unread(managerOf(real), id);
		await started;
		const close = () =>
			runInDurableObject(here(), (___, state) => {
				for (const socket of state.getWebSockets(id)) socket.close(1001);
			});
		// Once where the object still knows what it was told, once where it does not.
		for (const interrupt of [close, () => evict(here())]) {
			await interrupt();
			await untilOpen(true, here());
		}
		await here().broadcast([id], event('hello'));
		const stream = new EventStream(body);
		expect(await stream.messages(1)).toEqual(['hello']);
		await stream.cancel();
	});
});

describe('one to whom nothing was sent for long', () => {
	const small = () => objectOf(env.SHORT_LOG);

	const tellAnother = async (times: number) => {
		for (let n = 0; n < times; n++) await small().broadcast(['another'], event('not for it'));
	};
	const untilOld = () =>
		vi.waitFor(async () => expect((await small().stats()).log).toMatchObject({ events: 1 }), 5_000);

	it.each([
		['there were too many', () => tellAnother(5)],
		['they were too old', () => tellAnother(2).then(untilOld)],
	])('has missed nothing when its stream comes back after others were cut: %s', async (_, send) => {
		const onGap = vi.fn<(session: string) => void>();
		const namespace = onlyObject(env.SHORT_LOG, name);
		const streams = new DurableObjectStreamSessionManager(namespace, { onGap });
		const { body, started } = unread(streams, id);
		await started;
		await send();
		await evict(small());
		await untilOpen(true, small());
		await small().broadcast([id], event('hello'));
		const stream = new EventStream(body);
		expect(await stream.messages(1)).toEqual(['hello']);
		expect(onGap).not.toHaveBeenCalled();
		expect((await small().stats()).log).toMatchObject({ gaps: 0 });
		await stream.cancel();
	});

	const updated = (n: number, uri = 'memo://a') =>
		({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri, n } }) as const;

	/** A listen stream, and what it was told. */
	async function listen(namespace: SyncLayerNamespace) {
		const [told, onGap] = [new Array<unknown>(), vi.fn<(subscription: object) => void>()];
		const manager = new DurableObjectSubscriptionManager(namespace, { onGap });
		await manager.create(
			{ id: 7, origin: 'o', filters: { resourceSubscriptions: ['memo://a'] } },
			{
				acknowledge() {},
				send: ({ params }) => void told.push(params?.['n']),
				close: (reason) => void told.push(reason),
			},
		);
		return { manager, told, onGap };
	}

	const untilListening = () =>
		vi.waitFor(async () => expect((await small().stats()).subscriptions).toBe(1), 3_000);

	it.each([
		['published', (n: number) => small().publish([updated(n, 'memo://b')])],
		['sent', () => small().broadcast(undefined, event('no notification'))],
	])(
		'has missed nothing when its subscription comes back after other things were %s',
		async (_, send) => {
			const { manager, told, onGap } = await listen(onlyObject(env.SHORT_LOG, name));
			for (let n = 0; n < 5; n++) await send(n);
			await evict(small());
			await untilListening();
			await small().publish([updated(1)]);
			await vi.waitFor(() => expect(told).toEqual([1]));
			expect(onGap).not.toHaveBeenCalled();
			await manager.closeAll();
		},
	);

	it('is told where its subscription comes back for what is no longer there', async () => {
		const { namespace, arrived, letThrough } = held(env.SHORT_LOG);
		const { manager, told, onGap } = await listen(namespace);
		await evict(small());
		await arrived;
		for (const n of [1, 2, 3, 4, 5]) await small().publish([updated(n)]);
		letThrough();
		await vi.waitFor(() => expect(told).toEqual([3, 4, 5]), 3_000);
		expect(onGap.mock.calls).toEqual([[{ origin: 'o', id: 7 }]]);
		await manager.closeAll();
	});
});

describe('a client without an event id', () => {
	it('gets what it had not read, also where the object was replaced meanwhile', async () => {
		const stream = await withBacklog(managerOf());
		await evict();
		await untilOpen(true);
		await stream.body.cancel();
		await untilOpen(false);
		expect(await whatWaits()).toEqual(['a', 'b', 'c']);
	});

	it('does not get again what it had read, though one message was left', async () => {
		const stream = await withBacklog(managerOf());
		const reader = stream.body.getReader();
		for (let read = 0; read < 2; read++) await reader.read();
		// It is looked for soon, then less and less often: after 10, 20, 40, … ms.
		await scheduler.wait(400);
		await reader.cancel();
		await untilOpen(false);
		expect(await whatWaits()).toEqual(['c']);
	});

	it('does not get again what it had read where the answers to its Worker are lost when it leaves', async () => {
		let resumes = 0;
		const losing = onlyObject(env.TMCP_DURABLE_OBJECT, name, (stub) => ({
			fetch: async (...args: Parameters<typeof stub.fetch>) => {
				const response = await stub.fetch(...args);
				if (!claimOf(args).resume) return response;
				resumes++;
				throw lost();
			},
		}));
		await Wire.openAgain(object(), id);
		const { body, started } = unread(new DurableObjectStreamSessionManager(losing), id);
		await started;
		const stream = new EventStream(body);
		for (const text of ['a', 'b', 'c']) await object().broadcast([id], event(text));
		expect(await stream.messages(3)).toEqual(['a', 'b', 'c']);
		await scheduler.wait(400);
		await evict();
		await vi.waitFor(() => expect(resumes).toBeGreaterThan(0), 3_000);
		await stream.cancel();
		await untilOpen(false);
		expect(await whatWaits()).toEqual([]);
	});
});
