import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SyncLayerClient } from '../../../src/client.ts';
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	SessionHomes,
	type SessionHomesOptions,
	SessionManagerError,
	type SyncLayer,
} from '../../../src/index.ts';
import { runInScope } from '../../../src/worker/request/request-scope.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { HomeCalls, ownHomes } from '../../support/objects.ts';

const event = (text: string) => `data: ${JSON.stringify(text)}\n\n`;
const TOOLS = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' } as const;

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
	for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A stream of a session, once it is open, as a transport opens it. */
async function opened(
	streams: DurableObjectStreamSessionManager,
	session: string,
): Promise<EventStream> {
	const started = Promise.withResolvers<void>();
	const stream = new EventStream(
		new ReadableStream<Uint8Array>({
			start(controller) {
				streams.create(session, controller).then(started.resolve, started.reject);
			},
			cancel: () => streams.delete(session),
		}),
	);
	await started.promise;
	return stream;
}

/** Instances of a Worker that share their objects and nothing else. */
class World {
	noted = new HomeCalls();
	#prefix = crypto.randomUUID();

	homes(options?: SessionHomesOptions): SessionHomes {
		return new SessionHomes(ownHomes(env.TMCP_DURABLE_OBJECT, this.#prefix, this.noted), options);
	}

	object(home: string): DurableObjectStub<SyncLayer> {
		return env.TMCP_DURABLE_OBJECT.getByName(`${this.#prefix}/${home}`);
	}

	streams(homes: number): DurableObjectStreamSessionManager {
		return new DurableObjectStreamSessionManager(this.homes({ homes }));
	}

	/** A stream of a session in a home. */
	async open(
		home: string,
		streams = this.streams(4),
		id?: string,
	): Promise<{ session: string; stream: EventStream }> {
		const session = id ?? (await this.homes().mint(home));
		const stream = await opened(streams, session);
		cleanUps.push(() => stream.cancel());
		return { session, stream };
	}
}

/** The first one is always there, the others are registered when something begins in them. */
const HOMES = ['0', '1', '2', '3'];

describe('what is sent to named sessions', () => {
	it('goes to their homes only, each asked once, in order', async () => {
		const world = new World();
		const [one, other, third] = [
			await world.open('1'),
			await world.open('3'),
			await world.open('3'),
		];
		const streams = world.streams(4);
		const sessions = [one.session, other.session, third.session];
		const calls = await world.noted.of(() =>
			Promise.all([
				streams.send(sessions, event('a')),
				streams.send(sessions, event('b')),
				streams.send(sessions, event('c')),
			]),
		);
		expect(calls.filter((call) => call.startsWith('0') || call.startsWith('2'))).toEqual([]);
		expect(calls.length).toBeLessThanOrEqual(4);
		for (const { stream } of [one, other, third]) {
			expect(await stream.messages(3)).toEqual(['a', 'b', 'c']);
		}
	});

	it('keeps its order with what is sent to all', async () => {
		const world = new World();
		const [one, other] = [await world.open('1'), await world.open('2')];
		const streams = world.streams(4);
		const texts = Array.from({ length: 60 }, (_, n) => `message ${n}`);
		await Promise.all(
			texts.map((text, n) =>
				streams.send(n % 3 === 0 ? undefined : [one.session, other.session], event(text)),
			),
		);
		for (const { stream } of [one, other]) expect(await stream.messages(60)).toEqual(texts);
	});

	it('goes to a home that this instance has never heard of', async () => {
		const world = new World();
		const { session, stream } = await world.open('7', world.streams(8));
		const streams = world.streams(1);
		await streams.send([session], event('found'));
		expect(await stream.messages(1)).toEqual(['found']);
		expect(await streams.has(session)).toBe(true);
	});

	it('to a home that does not exist asks no object of that name', async () => {
		const world = new World();
		const session = await world.homes().mint('999');
		await world.streams(4).send([session], event('x'));
		expect(await world.streams(4).has(session)).toBe(false);
		expect(world.noted.calls.filter((call) => call.startsWith('999'))).toEqual([]);
	});
});

describe('what is sent to all', () => {
	it('reaches each session once, in every home that exists', async () => {
		const world = new World();
		const all = await Promise.all([...HOMES, '2', '2'].map((home) => world.open(home)));
		const streams = world.streams(4);
		for (const text of ['a', 'b']) await streams.send(undefined, event(text));
		const calls = await world.noted.of(() => streams.send(undefined, event('c')));
		expect(calls).toEqual(HOMES.map((home) => `${home} relay`));
		for (const { stream } of all) expect(await stream.messages(3)).toEqual(['a', 'b', 'c']);
	});

	it.each(['to all', 'to named sessions'])(
		'is on its way to every home before one has answered: %s',
		async (whom) => {
			const world = new World();
			const all = await Promise.all(HOMES.map((home) => world.open(home)));
			const streams = world.streams(4);
			await streams.send(undefined, event('which homes there are'));
			const sessions = whom === 'to all' ? undefined : all.map(({ session }) => session);
			const asked = world.noted.hold();
			const sending = streams.send(sessions, event('x'));
			await vi.waitFor(() => expect(asked.homes.toSorted()).toEqual(HOMES));
			asked.release();
			await sending;
			for (const { stream } of all) expect((await stream.messages(2))[1]).toBe('x');
		},
	);

	it('reaches homes that only newer versions of the Worker use', async () => {
		const world = new World();
		const all = await Promise.all(HOMES.map((home) => world.open(home)));
		await world.streams(1).send(undefined, event('from an old version'));
		for (const { stream } of all) expect(await stream.messages(1)).toEqual(['from an old version']);
	});

	it('costs one call where there is one home', async () => {
		const world = new World();
		const { session, stream } = await world.open('0', world.streams(1));
		const streams = world.streams(1);
		expect(await world.noted.of(() => streams.send(undefined, event('x')))).toEqual(['0 relay']);
		expect(await world.noted.of(() => streams.send([session], event('y')))).toEqual([
			'0 broadcast',
		]);
		expect(await stream.messages(2)).toEqual(['x', 'y']);
		expect(world.noted.calls).not.toContain('0 registerHome');
	});
});

describe('listen streams of a session that the gateway has ended', () => {
	const scope = {
		account: undefined,
		ownerHash: undefined,
		lastEventId: undefined,
		takesOver: false,
		primingEvent: undefined,
	};

	it.each([
		['0', ['1', '2', '3']],
		['2', ['0', '1', '3']],
	])('are ended in every home but that of the session, %s', async (home, others) => {
		const world = new World();
		for (const label of HOMES) await world.open(label);
		const homes = world.homes({ homes: 1 });
		const manager = new DurableObjectSubscriptionManager(homes);
		const session = await homes.mint(home);
		const ended = { session, home, homes: home === '0' ? HOMES : ['0'], info: undefined };
		const relays = await world.noted.of(() =>
			runInScope({ ...scope, homes, ended }, () => manager.closeAll(session, 'cancelled')),
		);
		expect(relays).toEqual(others.map((label) => `${label} relay`));
		// Those of another origin are others.
		const all = await world.noted.of(() =>
			runInScope({ ...scope, homes, ended }, () => manager.closeAll('other', 'cancelled')),
		);
		expect(all).toEqual(HOMES.map((label) => `${label} relay`));
	});
});

describe('a home that fails', () => {
	it('costs the others nothing, and is named with how many sessions are concerned', async () => {
		const world = new World();
		const [one, other, third] = [
			await world.open('1'),
			await world.open('2'),
			await world.open('2'),
		];
		const sessions = [one.session, other.session, third.session];
		world.noted.failing.set('2', 2);
		const error: unknown = await world
			.streams(4)
			.send(sessions, event('x'))
			.catch((thrown: unknown) => thrown);
		const { code, message = '' } = SessionManagerError.from(error) ?? {};
		expect(code).toBe('OBJECT_FAILED');
		expect(message).toContain('1 of 2 homes failed');
		expect(message).toContain('home 2 (2 sessions)');
		for (const session of sessions) expect(message).not.toContain(session);
		expect(await one.stream.messages(1)).toEqual(['x']);
	});

	it('is asked again where that can help, and nobody gets anything twice', async () => {
		const world = new World();
		const all = await Promise.all(HOMES.map((home) => world.open(home)));
		const streams = world.streams(4);
		await streams.send(undefined, event('a'));
		for (const home of HOMES) world.noted.failing.set(home, 1);
		await streams.send(undefined, event('b'));
		await streams.send(undefined, event('c'));
		for (const { stream } of all) expect(await stream.messages(3)).toEqual(['a', 'b', 'c']);
	});

	it('keeps nobody else from what is sent to all', async () => {
		const world = new World();
		const all = await Promise.all(HOMES.map((home) => world.open(home)));
		const streams = world.streams(4);
		await streams.send(undefined, event('a'));
		world.noted.failing.set('0', 2);
		expect(await codeOf(() => streams.send(undefined, event('b')))).toBe('OBJECT_FAILED');
		for (const [home, { stream }] of all.entries()) {
			if (home > 0) expect(await stream.messages(2)).toEqual(['a', 'b']);
		}
	});

	it('keeps nobody else from it where the instance has just started, and knows of no home yet', async () => {
		const world = new World();
		const all = await Promise.all(HOMES.map((home) => world.open(home)));
		const [, , third] = all;
		world.noted.failing.set('0', 100);
		expect(await codeOf(() => world.streams(4).send(undefined, event('a')))).toBe('OBJECT_FAILED');
		for (const { stream } of all.slice(1)) expect(await stream.messages(1)).toEqual(['a']);
		// Nor what is sent by name to a home that this version of the Worker does not begin sessions in.
		const named = [third?.session ?? ''];
		await world.streams(1).send(named, event('b'));
		expect(await third?.stream.messages(2)).toEqual(['a', 'b']);
		world.noted.failing.set('0', 0);
	});

	it('is told once for what one request has sent, because transports drop the rejections', async () => {
		const world = new World();
		const errors: unknown[] = [];
		const onError = (error: unknown) => void errors.push(error);
		const streams = new DurableObjectStreamSessionManager(world.homes(), { onError });
		world.noted.failing.set('0', 100);
		await Promise.allSettled(['a', 'b'].map((text) => streams.send(undefined, event(text))));
		expect(errors).toMatchObject([{ code: 'OBJECT_FAILED' }]);
		world.noted.failing.set('0', 0);
	});

	it('nor where a session of another home ends meanwhile', async () => {
		const world = new World();
		const all = await Promise.all(HOMES.map((home) => world.open(home)));
		const homes = world.homes({ homes: 1 });
		const streams = new DurableObjectStreamSessionManager(homes);
		await streams.send(undefined, event('a'));
		const session = await homes.mint('3');
		world.noted.failing.set('0', 100);
		const ended = {
			session,
			home: '3',
			homes: ['0'],
			info: undefined,
		};
		const scope = { account: undefined, ownerHash: undefined, lastEventId: undefined };
		await runInScope(
			{ ...scope, takesOver: false, primingEvent: undefined, homes, ended },
			async () => codeOf(() => new DurableObjectSubscriptionManager(homes).closeAll(ended.session)),
		);
		expect(await codeOf(() => streams.send(undefined, event('b')))).toBe('OBJECT_FAILED');
		for (const { stream } of all.slice(1)) expect(await stream.messages(2)).toEqual(['a', 'b']);
		world.noted.failing.set('0', 0);
	});
});

describe('a home', () => {
	it('is registered once by each instance, before anything begins in it', async () => {
		const world = new World();
		const homes = world.homes({ homes: 4 });
		const streams = new DurableObjectStreamSessionManager(homes);
		const sessions = [await homes.mint('2'), await homes.mint('2')];
		const before = world.noted.calls.length;
		for (const session of sessions) await world.open('2', streams, session);
		const made = world.noted.calls.slice(before);
		expect(made.filter((call) => call.endsWith('registerHome'))).toEqual(['0 registerHome']);
		expect(made.indexOf('0 registerHome')).toBeLessThan(made.indexOf('2 attach'));
	});

	it('is one of the jurisdiction where there is to be one', async () => {
		const asked: unknown[] = [];
		const namespace = new Proxy(env.TMCP_DURABLE_OBJECT, {
			get: (target, key) =>
				key === 'jurisdiction'
					? (name: string) => {
							asked.push(name);
							return target;
						}
					: Reflect.get(target, key),
		});
		const homes = new SessionHomes(namespace, { jurisdiction: 'eu' });
		expect(await new DurableObjectStreamSessionManager(homes).has(crypto.randomUUID())).toBe(false);
		expect(asked).toEqual(['eu']);
	});

	it('has options that are refused', async () => {
		for (const options of [{ homes: 0 }, { homes: 1_001 }, { homes: 1.5 }]) {
			expect(await codeOf(() => new SessionHomes('TMCP_DURABLE_OBJECT', options))).toBe(
				'INVALID_ARGUMENT',
			);
		}
	});
});

describe('a home that is no longer used', () => {
	const HOUR_MS = 3_600_000;
	let passed = 0;
	const pass = (ms: number) => void (passed += ms);

	beforeEach(() => {
		const now = Date.now.bind(Date);
		passed = 0;
		const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + passed);
		cleanUps.push(async () => void clock.mockRestore());
	});

	/** Which homes a message to all asks, of an instance that has just started. */
	async function askedBy(world: World, homes: number): Promise<string[]> {
		const calls = await world.noted.of(() => world.streams(homes).send(undefined, event('x')));
		return calls.filter((call) => call.endsWith(' relay'));
	}

	const alarmOf = (world: World, home: string) =>
		runInDurableObject(world.object(home), (instance) => instance.alarm());

	it('is asked until what lived there has ended and is forgotten, and then no more', async () => {
		const world = new World();
		const { session, stream } = await world.open('3');
		pass(HOUR_MS);
		expect(await askedBy(world, 1)).toEqual(['0 relay', '3 relay']);
		expect(await stream.messages(1)).toEqual(['x']);
		await new SyncLayerClient(world.homes()).end(session);
		await stream.ended;
		expect(await askedBy(world, 1)).toEqual(['0 relay', '3 relay']);
		expect(await askedBy(world, 1)).toEqual(['0 relay', '3 relay']);
		pass(8 * 24 * HOUR_MS);
		await alarmOf(world, '3');
		// The first one finds nothing there, the second one that it has stayed so.
		expect(await askedBy(world, 1)).toEqual(['0 relay', '3 relay']);
		pass(HOUR_MS);
		expect(await askedBy(world, 1)).toEqual(['0 relay', '3 relay']);
		expect(await askedBy(world, 1)).toEqual(['0 relay']);
		expect(await askedBy(world, 4)).toEqual(['0 relay']);
	});

	it('is not forgotten while an instance may still begin something there', async () => {
		const world = new World();
		await world.homes({ homes: 4 }).register(world.homes().at('3'));
		for (const minutes of [0, 20, 10]) {
			pass(minutes * 60_000);
			expect(await askedBy(world, 1)).toEqual(['0 relay', '3 relay']);
		}
		expect(await askedBy(world, 1)).toEqual(['0 relay']);
	});

	it('takes sessions for five more minutes where the first home does not answer', async () => {
		const world = new World();
		const homes = world.homes({ homes: 4 });
		const streams = new DurableObjectStreamSessionManager(homes);
		const [first = '', second = '', third = ''] = await Promise.all(
			['3', '3', '3'].map((home) => homes.mint(home)),
		);
		await world.open('3', streams, first);
		world.noted.failing.set('0', 100);
		pass(14 * 60_000);
		await world.open('3', streams, second);
		pass(2 * 60_000);
		expect(await codeOf(() => world.open('3', streams, third))).toBe('OBJECT_FAILED');
		world.noted.failing.set('0', 0);
	});

	it('is registered anew by an instance that had registered it before, when something begins there', async () => {
		const world = new World();
		const homes = world.homes({ homes: 4 });
		await homes.register(homes.at('3'));
		for (let n = 0; n < 2; n++) {
			pass(HOUR_MS);
			await askedBy(world, 1);
		}
		expect(await askedBy(world, 1)).toEqual(['0 relay']);
		const { stream } = await world.open('3', new DurableObjectStreamSessionManager(homes));
		expect(await askedBy(world, 1)).toEqual(['0 relay', '3 relay']);
		expect(await stream.messages(1)).toEqual(['x']);
	});

	it('is not forgotten where its listen streams are between two sockets, again and again', async () => {
		const world = new World();
		const manager = new DurableObjectSubscriptionManager(world.homes({ homes: 4 }));
		const told: unknown[] = [];
		const callbacks = {
			acknowledge() {},
			send: (notification: unknown) => void told.push(notification),
			close() {},
		};
		const origin = crypto.randomUUID();
		for (const id of [1, 2, 3, 4]) {
			await manager.create({ id, origin, filters: { toolsListChanged: true } }, callbacks);
		}
		const homes = await world.homes().labels();
		const count = async () => (await new SyncLayerClient(world.homes()).stats()).sum.subscriptions;
		for (let round = 0; round < 2; round++) {
			pass(HOUR_MS);
			for (const home of homes) {
				await evictDurableObject(world.object(home), { webSockets: 'close' });
			}
			await askedBy(world, 1);
			await vi.waitFor(async () => expect(await count()).toBe(4), 5_000);
		}
		expect(await world.homes().labels()).toEqual(homes);
		await new DurableObjectSubscriptionManager(world.homes()).send(TOOLS);
		await vi.waitFor(() => expect(told).toEqual([TOOLS, TOOLS, TOOLS, TOOLS]));
		await manager.closeAll(origin);
	}, 10_000);
});

describe('listen streams', () => {
	async function listen(manager: DurableObjectSubscriptionManager, id: number, origin: string) {
		const told: unknown[] = [];
		const isNew = await manager.create(
			{ id, origin, filters: { toolsListChanged: true } },
			{
				acknowledge: () => void told.push('acknowledged'),
				send: (notification) => void told.push(notification),
				close: (reason) => void told.push(reason),
			},
		);
		return { told, isNew };
	}

	it('are spread over the homes, and hear what any instance sends', async () => {
		const world = new World();
		const managerOf = (homes: number) =>
			new DurableObjectSubscriptionManager(world.homes({ homes }));
		const [manager, origin] = [managerOf(4), crypto.randomUUID()];
		const all = await Promise.all(
			Array.from({ length: 12 }, (_, id) => listen(manager, id, origin)),
		);
		const used = new Set(world.noted.calls.filter((call) => call.endsWith('subscribe')));
		expect(used.size).toBeGreaterThan(1);
		await managerOf(1).send(TOOLS);
		for (const { told } of all) {
			await vi.waitFor(() => expect(told).toEqual(['acknowledged', TOOLS]));
		}
		expect((await listen(managerOf(4), 3, origin)).isNew).toBe(false);
		// Whatever the number of homes is by now.
		expect(await managerOf(1).close(3, origin, 'closed')).toBe(true);
		await vi.waitFor(() => expect(all[3]?.told.at(-1)).toBe('closed'));
		await managerOf(7).closeAll(origin);
		for (const { told } of all) await vi.waitFor(() => expect(told).toHaveLength(3));
	});
});

describe('listen streams with placement', () => {
	const PARIS = { continent: 'EU', country: 'FR', longitude: '2.35' };
	const NEAREST = { homes: 2, placement: 'nearest' } as const;

	function listenFrom(manager: DurableObjectSubscriptionManager, origin: string, cf: unknown) {
		const told: unknown[] = [];
		const scope = {
			account: undefined,
			ownerHash: undefined,
			lastEventId: undefined,
			takesOver: false,
			primingEvent: undefined,
			cf,
		};
		const callbacks = {
			acknowledge() {},
			send: (notification: unknown) => void told.push(notification),
			close: (reason: unknown) => void told.push(reason),
		};
		const listening = runInScope(scope, () =>
			manager.create({ id: 1, origin, filters: { toolsListChanged: true } }, callbacks),
		);
		return listening.then(() => told);
	}

	it('have a home in the region of their request, and hear what any instance sends', async () => {
		const world = new World();
		const managerOf = (options: SessionHomesOptions) =>
			new DurableObjectSubscriptionManager(world.homes(options));
		const manager = managerOf(NEAREST);
		const origins = Array.from({ length: 4 }, () => crypto.randomUUID());
		const [nowhere = '', ...others] = origins;
		const all = [
			await listenFrom(manager, nowhere, undefined),
			...(await Promise.all(others.map((origin) => listenFrom(manager, origin, PARIS)))),
		];
		const homes = world.noted.calls.filter((call) => call.endsWith(' subscribe'));
		expect(homes.slice(0, 1)).toEqual([expect.stringMatching(/^[01] /)]);
		expect(homes.slice(1)).toEqual(others.map(() => expect.stringMatching(/^weur-[01] /)));
		for (const call of homes.slice(1)) {
			expect(world.noted.placed.get(call.split(' ')[0] ?? '')).toBe('weur');
		}
		// Another instance, without placement and with another number of homes, reaches and ends them all the same.
		const other = managerOf({ homes: 3 });
		const calls = await world.noted.of(() => other.send(TOOLS));
		expect(new Set(calls).size).toBe(calls.length);
		for (const told of all) await vi.waitFor(() => expect(told).toEqual([TOOLS]));
		for (const [index, origin] of origins.entries()) {
			expect(await managerOf({ homes: 1 }).close(1, origin, 'closed')).toBe(true);
			await vi.waitFor(() => expect(all[index]).toEqual([TOOLS, 'closed']));
		}
	});

	it('have a home as before without placement', async () => {
		const world = new World();
		const manager = new DurableObjectSubscriptionManager(world.homes({ homes: 2 }));
		const origin = crypto.randomUUID();
		await listenFrom(manager, origin, PARIS);
		expect(world.noted.calls).toContainEqual(expect.stringMatching(/^[01] subscribe$/));
		await manager.closeAll(origin);
	});
});

describe('event ids', () => {
	it('name the home, and one of another home is told as a gap', async () => {
		const gaps: string[] = [];
		const streams = new DurableObjectStreamSessionManager(
			new SessionHomes('TMCP_DURABLE_OBJECT', { homes: 4 }),
			{ onGap: (session) => void gaps.push(session) },
		);
		const homes = new SessionHomes('TMCP_DURABLE_OBJECT', { homes: 4 });
		const open = (session: string, lastEventId?: string) =>
			runInScope(
				{
					account: undefined,
					ownerHash: undefined,
					lastEventId,
					takesOver: true,
					primingEvent: undefined,
				},
				() => opened(streams, session),
			);
		const [one, other] = [await homes.mint('1'), await homes.mint('3')];
		const stream = await open(one);
		await streams.send([one], event('x'));
		await stream.messages(1);
		const [, id = ''] = /^id: (.*)$/m.exec(stream.raw) ?? [];
		expect(id).toMatch(/^1\./);
		await stream.cancel();
		const foreign = await open(other, id);
		expect(gaps).toEqual([other]);
		await foreign.cancel();
	});
});
