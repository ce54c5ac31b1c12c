import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { channel } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openSocket } from '../src/advanced.ts';
import {
	channelName,
	EVENT_NAMES,
	readTrace,
	runInTrace,
	type SessionEvent,
	subscribe,
} from '../src/diagnostics.ts';
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SyncLayer,
} from '../src/index.ts';
import { shortHash } from '../src/worker/hash.ts';
import { codeOf } from './support/codes.ts';
import { EventStream } from './support/event-stream.ts';
import { lost, onlyObject } from './support/objects.ts';
import { PortionedLog } from './support/portioned-log.ts';
import { Recorder } from './support/recorder.ts';
import { Wire } from './support/socket.ts';
import { unread } from './support/unread.ts';
import { AskingClient, askedOn, resultOf } from './worker/answers/asking-client.ts';
import { SessionClient } from './worker/gateway/client.ts';

const TRACE = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
const OTHER_TRACE = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };

const event = (text: string) => `data: ${JSON.stringify(text)}\n\n`;

/** An object of a test's own. */
function ownObject(namespace: DurableObjectNamespace<SyncLayer> = env.TMCP_DURABLE_OBJECT) {
	const home = `home ${crypto.randomUUID()}`;
	return { home, object: namespace.getByName(home) };
}

/** Sends as a server does whose object has lost `times` calls. */
function losing(times: number) {
	const home = `home ${crypto.randomUUID()}`;
	let left = times;
	const namespace = onlyObject(env.TMCP_DURABLE_OBJECT, home, () =>
		left-- > 0 ? { broadcast: () => Promise.reject(lost()) } : {},
	);
	return new DurableObjectStreamSessionManager(namespace);
}

/** A listen stream for the list of tools, in an object of its own, which loses its socket and misses `missed` changes. */
async function listenAndMiss(namespace: DurableObjectNamespace<SyncLayer>, missed: number) {
	const { home, object } = ownObject(namespace);
	const manager = new DurableObjectSubscriptionManager(onlyObject(namespace, home));
	const told: unknown[] = [];
	const callbacks = {
		acknowledge() {},
		send: (notification: unknown) => void told.push(notification),
		close() {},
	};
	await manager.create({ id: 1, origin: 'o', filters: { toolsListChanged: true } }, callbacks);
	onTestFinished(() => manager.closeAll('o'));
	// It comes back after all of the first pause: half a second.
	const random = vi.spyOn(Math, 'random').mockReturnValue(0.99);
	onTestFinished(() => random.mockRestore());
	await evictDurableObject(object, { webSockets: 'close' });
	for (let n = 0; n < missed; n++) {
		await object.publish([{ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }]);
	}
	return { home, told };
}

/** A session's call of a tool, in a trace. */
async function callInTrace(client: SessionClient, name: string, _meta: object): Promise<void> {
	const response = await client.post('tools/call', { name, arguments: {}, _meta });
	await new EventStream(response.body).messages(1);
}

describe('somebody who listens is told', () => {
	let recorder: Recorder;
	beforeEach(() => {
		recorder = new Recorder();
	});
	afterEach(() => recorder.stop());

	it('attached: a stream has its socket, by the object and by the Worker', async () => {
		const client = await SessionClient.begin('/gateway');
		const stream = await client.open();
		const session = await shortHash(client.sessionId);
		const [home] = client.sessionId.split('.');
		const common = { name: 'attached', home, session, stream: 'session', recovered: true };
		await vi.waitFor(() =>
			expect(recorder.of('attached')).toMatchObject([
				{ ...common, side: 'object' },
				{ ...common, side: 'worker', isBack: false, durationMs: expect.any(Number) },
			]),
		);
		expect(recorder.of('attached')[0]?.at).toBeGreaterThan(Date.now() - 60_000);
		await stream.cancel();
	});

	it('superseded: a newer stream took the place of one', async () => {
		const client = await SessionClient.begin('/gateway');
		const older = await client.open();
		const newer = await client.open();
		await older.ended;
		const session = await shortHash(client.sessionId);
		expect(recorder.of('superseded')).toMatchObject([
			{ side: 'object', session, stream: 'session' },
			{ side: 'worker', session, stream: 'session' },
		]);
		await newer.cancel();
	});

	it('delivered: what became of each message, and of each call of a Worker', async () => {
		const { home, object } = ownObject();
		const wire = await Wire.open(object, 'here');
		await object.broadcast(undefined, 'für alle');
		await object.broadcast(['here', 'away'], 'for two');
		await object.publish([{ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }]);
		const common = { name: 'delivered', side: 'object', home, session: undefined };
		expect(recorder.of('delivered')).toMatchObject([
			{ ...common, audience: 'all', bytes: 9, delivered: 1, waiting: undefined, missed: 0 },
			{ ...common, audience: 'sessions', bytes: 7, delivered: 1, waiting: 1, missed: 0 },
			{ ...common, audience: 'listeners', bytes: 61, delivered: 0, waiting: undefined },
		]);

		const streams = new DurableObjectStreamSessionManager(
			onlyObject(env.TMCP_DURABLE_OBJECT, home),
		);
		await Promise.all([streams.send(['here'], event('1')), streams.send(['here'], event('2'))]);
		expect(recorder.of('delivered', 'worker')).toMatchObject([
			{ messages: 2, bytes: 22, homes: 1, delivered: 2, waiting: 0, missed: 0 },
		]);
		expect(recorder.of('delivered', 'object').at(-1)?.session).toBe(await shortHash('here'));
		wire.socket.close();
	});

	it('delivered: notifications to listen streams, by the Worker that sent them', async () => {
		const { home } = ownObject();
		const manager = new DurableObjectSubscriptionManager(onlyObject(env.TMCP_DURABLE_OBJECT, home));
		await manager.send({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
		expect(recorder.of('delivered', 'worker')).toMatchObject([
			{ messages: 1, bytes: 61, homes: 1, delivered: 0, waiting: undefined, missed: 0 },
		]);
	});

	it('waiting and replayed: a message waits for its session, which gets it with its stream', async () => {
		const { home, object } = ownObject();
		await object.broadcast(['away'], 'hello');
		const session = await shortHash('away');
		expect(recorder.of('waiting')).toMatchObject([{ home, session, waiting: 1, bytes: 5 }]);
		expect(recorder.of('replayed')).toEqual([]);

		const wire = await Wire.open(object, 'away');
		expect(recorder.of('replayed')).toMatchObject([
			{ side: 'object', home, session, stream: 'session', messages: 1, bytes: 5 },
		]);
		wire.socket.close();
	});

	it('paused: a client reads slowly', async () => {
		const log = new PortionedLog();
		const id = crypto.randomUUID();
		const options = { maxQueuedBytes: 10_000 };
		const streams = new DurableObjectStreamSessionManager(log.namespace, options);
		const { body, started } = unread(streams, id);
		await started;
		for (let n = 0; n < 20; n++) log.send(event('x'.repeat(1_000)));
		await vi.waitFor(() => expect(log.closed).toHaveLength(1));
		expect(recorder.of('paused')).toMatchObject([{ side: 'worker', session: await shortHash(id) }]);
		expect(recorder.of('paused')[0]?.bytes).toBeGreaterThanOrEqual(10_000);

		const stream = new EventStream(body);
		await vi.waitFor(() =>
			expect(recorder.of('attached', 'worker').at(-1)).toMatchObject({ isBack: true }),
		);
		await stream.cancel();
	});

	it('gap: the log does not reach back to where a stream was', async () => {
		const id = crypto.randomUUID();
		const streams = new DurableObjectStreamSessionManager('SHORT_LOG');
		for (let n = 0; n < 5; n++) await streams.send([id], event('x'));
		const { body, started } = unread(streams, id);
		await started;
		const session = await shortHash(id);
		expect(recorder.of('gap')).toMatchObject([
			{ side: 'object', home: '0', session, stream: 'session' },
			{ side: 'worker', session, stream: 'session' },
		]);
		await body.cancel();
	});

	it('retry: a call was lost, and is tried again', async () => {
		await losing(1).send(['a'], event('x'));
		expect(recorder.of('retry')).toMatchObject([
			{ side: 'worker', home: '0', of: 'call', tries: 1, code: undefined },
		]);
		expect(recorder.of('retry')[0]?.pauseMs).toBeGreaterThan(0);
		expect(recorder.of('error')).toEqual([]);
	});

	it('retry: a write to KV was one of too many', async () => {
		let left = 1;
		const put: KVNamespace['put'] = (...args: [string, string]) =>
			left-- > 0
				? Promise.reject(new Error('KV PUT failed: 429 Too Many Requests'))
				: env.TMCP_SESSION_INFO.put(...args);
		const kv = new Proxy(env.TMCP_SESSION_INFO, {
			get: (target, name) => (name === 'put' ? put : Reflect.get(target, name)),
		});
		await new KVInfoSessionManager(kv).setLogLevel(crypto.randomUUID(), 'error');
		expect(recorder.of('retry')).toMatchObject([
			{ side: 'worker', home: undefined, of: 'kv', tries: 1, code: undefined },
		]);
		expect(recorder.of('retry')[0]?.pauseMs).toBeGreaterThan(0);
		expect(recorder.of('error')).toEqual([]);
	});

	it('attached, retry and replayed: a listen stream loses its socket, and gets what it missed', async () => {
		const { home, told } = await listenAndMiss(env.TMCP_DURABLE_OBJECT, 2);
		await vi.waitFor(() => expect(told).toHaveLength(2));
		const common = { session: undefined, stream: 'listen', recovered: true };
		expect(recorder.of('attached')).toMatchObject([
			{ ...common, side: 'object', home },
			{ ...common, side: 'worker', home: '0', isBack: false },
			{ ...common, side: 'object', home },
			{ ...common, side: 'worker', home: '0', isBack: true },
		]);
		expect(recorder.of('retry')).toMatchObject([
			{ side: 'worker', home: '0', session: undefined, of: 'stream', tries: 1, code: undefined },
		]);
		expect(recorder.of('replayed')).toMatchObject([
			{ side: 'object', home, session: undefined, stream: 'listen', messages: 2, bytes: 122 },
		]);
		expect(recorder.of('gap')).toEqual([]);
	});

	it('gap: the log does not reach back to where a listen stream was', async () => {
		const { home, told } = await listenAndMiss(env.SHORT_LOG, 5);
		await vi.waitFor(() => expect(told).toHaveLength(3));
		expect(recorder.of('gap')).toMatchObject([
			{ side: 'object', home, session: undefined, stream: 'listen' },
			{ side: 'worker', home: '0', session: undefined, stream: 'listen' },
		]);
		expect(recorder.of('attached').map(({ recovered }) => recovered)).toEqual([
			true,
			true,
			false,
			false,
		]);
	});

	it('error: a call has failed for good, once however many hear of it', async () => {
		expect(await codeOf(() => losing(9).send(['a'], event('x')))).toBe('OBJECT_FAILED');
		await scheduler.wait(0);
		expect(recorder.of('error')).toMatchObject([
			{ side: 'worker', home: '0', code: 'OBJECT_FAILED' },
		]);
	});

	it('error: the alarm of a subclass has failed', async () => {
		const { home, object } = ownObject();
		const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
		onTestFinished(() => logged.mockRestore());
		await runInDurableObject(object, async (instance) => {
			Reflect.set(instance, 'onAlarm', () => {
				throw new Error('secret');
			});
			await Reflect.get(instance, 'ownAlarm').set(Date.now());
		});
		await runDurableObjectAlarm(object);
		expect(recorder.of('error')).toMatchObject([{ side: 'object', home, code: undefined }]);
	});

	it('answered: a client has answered a request of the server, or nobody has', async () => {
		const client = await AskingClient.begin();
		const call = await client.call('ask', { topics: ['x'] });
		const { id } = await askedOn(call);
		await client.answer(id, {}, 'second');
		await resultOf(call);
		await client.answer(id, {});
		const session = await shortHash(client.session.sessionId);
		expect(recorder.of('answered', 'worker')).toMatchObject([{ session, outcome: 'taken' }]);
		expect(recorder.of('answered', 'object')).toMatchObject([
			{ session, outcome: 'taken' },
			{ session, outcome: 'ignored' },
		]);

		const broken = await client.call('ask', { topics: ['x'] });
		await askedOn(broken);
		await broken.cancel();
		await vi.waitFor(() =>
			expect(recorder.of('answered', 'worker')).toMatchObject([{}, { outcome: 'abandoned' }]),
		);
		expect(recorder.of('attached', 'object')).toMatchObject([
			{ session, stream: 'answers' },
			{ session, stream: 'answers' },
		]);
	});

	it('answered: a question has expired, and who answers it later is ignored', async () => {
		const client = await AskingClient.begin();
		const call = await client.call('ask', { topics: ['x'] }, 'impatient');
		const { id } = await askedOn(call);
		await resultOf(call);
		await client.answer(id, {});
		const session = await shortHash(client.session.sessionId);
		expect(recorder.of('answered')).toMatchObject([
			{
				side: 'worker',
				session,
				outcome: 'expired',
				durationMs: expect.toSatisfy((ms) => Number(ms) >= 200),
			},
			{ side: 'object', session, outcome: 'ignored' },
		]);
	});

	it('refused: the gateway has turned a request away', async () => {
		const stranger = new SessionClient('/gateway', { 'mcp-session-id': 'unknown' });
		expect((await stranger.post('ping')).status).toBe(404);
		expect((await new SessionClient('/gateway').post('ping')).status).toBe(400);
		const common = { name: 'refused', side: 'worker', home: undefined };
		expect(recorder.of('refused')).toMatchObject([
			{ ...common, reason: 'unknown', status: 404, session: await shortHash('unknown') },
			{ ...common, reason: 'missing', status: 400, session: undefined },
		]);
	});

	it('refused: the object has turned a stream, a session or a ticket away', async () => {
		const { home, object } = ownObject();
		const older = await object.attach('one');
		const newer = await object.attach('one');
		expect(await codeOf(() => openSocket(object, older))).toBe('STREAM_SUPERSEDED');
		(await openSocket(object, newer)).accept();
		expect(await codeOf(() => openSocket(object, newer))).toBe('TICKET_REFUSED');
		const of = { owner: 'A'.repeat(43) };
		expect(await codeOf(() => object.attach('one', of))).toBe('STREAM_DETACHED');
		const common = { name: 'refused', side: 'object', home };
		expect(recorder.of('refused')).toMatchObject([
			{ ...common, reason: 'STREAM_SUPERSEDED' },
			{ ...common, reason: 'TICKET_REFUSED' },
			{ ...common, reason: 'STREAM_DETACHED', session: await shortHash('one') },
		]);
		expect(recorder.of('error')).toEqual([]);
	});

	it('nothing that is secret: no session id, owner, message or origin', async () => {
		const client = await SessionClient.begin('/gateway', { 'x-user': 'alice' });
		const stream = await client.open();
		await client.call('announce');
		await stream.messages(1);
		await client.fetch('DELETE');
		await stream.ended;
		await client.post('ping');
		expect(new Set(recorder.events.map(({ name }) => name))).toContain('refused');
		const told = JSON.stringify(recorder.events);
		expect(told.length).toBeGreaterThan(500);
		for (const secret of [client.sessionId, 'alice', 'list_changed', 'example.com'])
			expect(told).not.toContain(secret);
	});
});

describe('the trace of a request', () => {
	let recorder: Recorder;
	beforeEach(() => {
		recorder = new Recorder();
	});
	afterEach(() => recorder.stop());

	const traces = (events: readonly SessionEvent[]) => events.map(({ trace }) => trace);

	it('is in the events of what its message does, in Worker and object', async () => {
		const client = await SessionClient.begin('/gateway');
		const tracestate = 'vendor=1';
		await callInTrace(client, 'announce', { ...TRACE, tracestate });
		await vi.waitFor(() => expect(recorder.of('delivered', 'worker')).not.toEqual([]));
		const delivered = recorder.of('delivered');
		expect(new Set(delivered.map(({ side }) => side))).toEqual(new Set(['object', 'worker']));
		for (const trace of traces(delivered)) expect(trace).toEqual({ ...TRACE, tracestate });

		recorder.events.length = 0;
		await client.call('announce');
		await vi.waitFor(() => expect(recorder.of('delivered', 'worker')).not.toEqual([]));
		for (const trace of traces(recorder.of('delivered'))) expect(trace).toBeUndefined();
	});

	it('is never that of another request which runs at the same time', async () => {
		const clients = await Promise.all([0, 1, 2].map(() => SessionClient.begin('/gateway')));
		const given = [TRACE, OTHER_TRACE, {}];
		await Promise.all(clients.map((client, n) => callInTrace(client, 'announce', given[n] ?? {})));
		await vi.waitFor(() => {
			const seen = traces(recorder.of('delivered', 'worker')).map((of) => of?.traceparent ?? '');
			expect(new Set(seen)).toEqual(new Set([TRACE.traceparent, OTHER_TRACE.traceparent, '']));
		});
	});

	it('is that of the headers where there is no message', async () => {
		const client = await SessionClient.begin('/gateway');
		const stream = await client.open(TRACE);
		await vi.waitFor(() => expect(recorder.of('attached', 'worker')).not.toEqual([]));
		expect(traces(recorder.of('attached', 'worker'))).toEqual([TRACE]);
		await stream.cancel();
	});

	it('is in the event of an answer to what the request asked', async () => {
		const client = await AskingClient.begin();
		const params = { name: 'ask', arguments: { topics: ['x'] }, _meta: TRACE };
		const response = await client.post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
		const call = new EventStream(response.body);
		const { id } = await askedOn(call);
		await client.answer(id, {});
		await resultOf(call);
		expect(traces(recorder.of('answered', 'worker'))).toEqual([TRACE]);
	});

	it.each([
		['of no version', { traceparent: `ff${TRACE.traceparent.slice(2)}` }],
		['without a trace id', { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` }],
		['that is no text', { traceparent: 7 }],
		['that is too long', { traceparent: `${TRACE.traceparent}-${'x'.repeat(10_000)}` }],
	])('is ignored where it is one %s', async (_, of) => {
		expect(readTrace(of)).toBeUndefined();
		const client = await SessionClient.begin('/gateway');
		await callInTrace(client, 'announce', of);
		await vi.waitFor(() => expect(recorder.of('delivered', 'worker')).not.toEqual([]));
		for (const trace of traces(recorder.of('delivered'))) expect(trace).toBeUndefined();
	});

	it('goes without a state that is too long', () => {
		expect(readTrace({ ...TRACE, tracestate: 'x'.repeat(513) })).toEqual(TRACE);
		expect(readTrace({ ...TRACE, tracestate: 'x'.repeat(512) })?.tracestate).toHaveLength(512);
	});

	it('makes no call larger that has none', async () => {
		const calls: unknown[][] = [];
		const { home, object } = ownObject();
		const namespace = onlyObject(env.TMCP_DURABLE_OBJECT, home, () => ({
			broadcast: (...args: [undefined, string]) => {
				calls.push(['broadcast', args.length]);
				return object.broadcast(...args);
			},
			broadcastBatch: (...args: [never]) => {
				calls.push(['broadcastBatch', args.length]);
				return object.broadcastBatch(...args);
			},
		}));
		const streams = new DurableObjectStreamSessionManager(namespace);
		await streams.send(['a'], event('x'));
		await Promise.all([streams.send(['a'], event('x')), streams.send(['a'], event('y'))]);
		await runInTrace(TRACE, () => streams.send(['a'], event('x')));
		expect(calls).toEqual([
			['broadcast', 3],
			['broadcastBatch', 1],
			['broadcastBatch', 2],
		]);
		expect(traces(recorder.of('delivered', 'object'))).toEqual([
			undefined,
			undefined,
			undefined,
			TRACE,
		]);
	});
});

describe('a listener', () => {
	it('hears only the events that it names, until it stops', async () => {
		const { object } = ownObject();
		const heard: SessionEvent[] = [];
		const stop = subscribe((of) => heard.push(of), ['waiting', 'gap']);
		await object.broadcast(['away'], 'x');
		expect(heard.map(({ name }) => name)).toEqual(['waiting']);
		stop();
		await object.broadcast(['away'], 'x');
		expect(heard).toHaveLength(1);
	});

	it('that throws hurts neither the library nor another listener, and is logged', async () => {
		const { object } = ownObject();
		const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
		const first = subscribe(() => {
			throw new Error('mine');
		});
		const recorder = new Recorder(['delivered']);
		// Without `subscribe`, as on any channel of Node.js.
		const bare = () => {
			throw new Error('bare');
		};
		channel('tmcp:sessions:delivered').subscribe(bare);
		onTestFinished(() => {
			first();
			recorder.stop();
			channel('tmcp:sessions:delivered').unsubscribe(bare);
			logged.mockRestore();
		});
		expect(await object.broadcast(undefined, 'x')).toMatchObject({ delivered: 0 });
		expect(recorder.of('delivered')).toHaveLength(1);
		expect(logged.mock.calls.map(([, thrown]) => String(thrown))).toEqual([
			'Error: mine',
			'Error: bare',
		]);
	});
});

it('nothing is published, nor a trace carried, where nobody listens', async () => {
	const published = EVENT_NAMES.map((name) => vi.spyOn(channel(channelName(name)), 'publish'));
	const relay = vi.spyOn(SyncLayer.prototype, 'relay');
	const client = await SessionClient.begin('/gateway');
	const stream = await client.open();
	const newer = await client.open();
	await stream.ended;
	await callInTrace(client, 'announce', TRACE);
	await newer.messages(1);
	await newer.cancel();
	expect((await new SessionClient('/gateway').post('ping')).status).toBe(400);
	for (const publish of published) expect(publish).not.toHaveBeenCalled();
	expect(relay).toHaveBeenCalled();
	for (const args of relay.mock.calls) expect(args).toHaveLength(1);

	// The same shows where somebody does.
	const recorder = new Recorder();
	await client.call('announce');
	await vi.waitFor(() => expect(published.some(({ mock }) => mock.calls.length > 0)).toBe(true));
	recorder.stop();
	vi.restoreAllMocks();
});
