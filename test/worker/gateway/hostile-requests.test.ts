import { abortAllDurableObjects, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { HttpTransport } from '@tmcp/transport-http';
import { SseTransport } from '@tmcp/transport-sse';
import { McpServer } from 'tmcp';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
	DurableObjectSessions,
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
	SessionGateway,
	type SessionGatewayOptions,
} from '../../../src/index.ts';
import type { SyncLayerNamespace } from '../../../src/advanced.ts';
import { parseSyncLayerOptions } from '../../../src/object/options.ts';
import { MAX_SESSION_INFO_BYTES } from '../../../src/wire/limits.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { objectOf } from '../../support/objects.ts';
import { INITIALIZE } from './client.ts';

const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

afterEach(() => void vi.restoreAllMocks());

function makeServer() {
	const server = new McpServer(
		{ name: 'test', version: '1.0.0', description: 'test' },
		{
			adapter: undefined,
			capabilities: { tools: {}, logging: {}, resources: { subscribe: true } },
		},
	);
	const ran: string[] = [];
	server.tool({ name: 'look', description: 'looks' }, () => {
		ran.push(server.ctx.sessionId ?? 'nobody');
		return { content: [] };
	});
	return { server, ran };
}

/** A gateway with what it asks of others. */
function serve(options: SessionGatewayOptions = {}, path = '/mcp') {
	const { server, ran } = makeServer();
	const info = new KVInfoSessionManager();
	const streams = new DurableObjectStreamSessionManager();
	const transport = new HttpTransport(server, { path, sessionManager: { streams, info } });
	const respond = vi.spyOn(transport, 'respond');
	const getByName = vi.fn<SyncLayerNamespace['getByName']>((name) =>
		env.TMCP_DURABLE_OBJECT.getByName(name),
	);
	const namespace = new Proxy(env.TMCP_DURABLE_OBJECT, {
		get: (target, name) => (name === 'getByName' ? getByName : Reflect.get(target, name)),
	});
	const gateway = new SessionGateway(transport, namespace, { info, ...options });
	return { gateway, ran, respond, getByName };
}

const post = (
	body: BodyInit,
	headers: Record<string, string> = {},
	url = 'https://example.com/mcp',
) => new Request(url, { method: 'POST', headers: { ...json, ...headers }, body });
const message = (method: string, params: object = {}, id: number | undefined = 1) =>
	JSON.stringify({ jsonrpc: '2.0', id, method, params });
const withoutId = (method: string, params: object) =>
	JSON.stringify({ jsonrpc: '2.0', method, params });

/** Whether the transport was given a message: the gateway's own probes have no body. */
const hasBody = (calls: readonly [request: Request, ...unknown[]][]) =>
	calls.some(([{ body }]) => body !== null);

async function begin(gateway: SessionGateway): Promise<string> {
	const response = await gateway.respond(post(message('initialize', INITIALIZE)));
	await response?.text();
	return response?.headers.get('mcp-session-id') ?? '';
}

describe('with the session id of another in the URL, where SseTransport reads it', () => {
	it('nobody opens a stream or runs a tool', async () => {
		const { server, ran } = makeServer();
		const streams = new DurableObjectStreamSessionManager();
		const sse = new SseTransport(server, {
			path: '/sse',
			endpoint: '/message',
			sessionManager: { streams },
		});
		const owner = ({ headers }: Request) => headers.get('x-user') ?? undefined;
		const gateway = new SessionGateway(sse, env.TMCP_DURABLE_OBJECT, { path: '/sse', owner });
		const victim = crypto.randomUUID();
		const headers = { 'x-user': 'mallory' };
		const at = (path: string) => `https://example.com${path}?session_id=${victim}`;
		const refused = [
			await gateway.respond(new Request(at('/sse'), { headers })),
			await gateway.respond(post(message('tools/call', { name: 'look' }), headers, at('/message'))),
		];
		for (const response of refused) {
			expect(response?.status).toBe(400);
			expect(await response?.text()).toContain('SseTransport');
		}
		expect(ran).toEqual([]);
		expect(await objectOf(victim).has(victim)).toBe(false);
	});

	it('nobody ends the session of another, where the gateway is at another path', async () => {
		const { server } = makeServer();
		const { gateway: victims } = serve();
		const victim = await begin(victims);
		const streams = new DurableObjectStreamSessionManager();
		const sse = new SseTransport(server, {
			path: '/sse',
			endpoint: '/message',
			sessionManager: { streams },
		});
		const gateway = new SessionGateway(sse);
		const url = `https://example.com/sse?session_id=${victim}`;
		for (const method of ['DELETE', 'GET']) {
			const response = await gateway.respond(new Request(url, { method })).catch(() => null);
			await response?.body?.cancel().catch(() => {});
		}
		const request = () => post(message('ping'), { 'mcp-session-id': victim });
		expect((await victims.respond(request()))?.status).toBe(200);
		expect(await objectOf(victim).has(victim)).toBe(false);
	});

	it('a page of one’s own that has such a parameter is left alone', async () => {
		const { gateway } = serve();
		const page = new Request('https://example.com/checkout?session_id=cs_1');
		expect(await gateway.respond(page)).toBeNull();
	});
});

/** Of the revision without sessions. */
const SESSIONLESS = { 'mcp-protocol-version': '2026-07-28' };

describe('an owner that is no name', () => {
	it.each([
		['an empty string', ''],
		['null', null],
		['a number', 7],
		['NaN', Number.NaN],
		['an ArrayBuffer', new ArrayBuffer(4)],
		['a Map', new Map([['a', 1]])],
		['Headers', new Headers({ a: 'b' })],
		['a function', () => 'alice'],
		['a symbol', Symbol('alice')],
		['an array', ['alice']],
	])('(%s) is refused before anything happens', async (_, owner) => {
		const { gateway, respond, getByName } = serve({ owner: () => owner as never });
		const read = vi.spyOn(KVInfoSessionManager.prototype, 'prefetch');
		for (const headers of [{}, { 'mcp-session-id': crypto.randomUUID() }]) {
			const request = post(message('initialize', INITIALIZE), headers);
			expect(await codeOf(() => gateway.respond(request))).toBe('INVALID_ARGUMENT');
		}
		const sessionless = post(message('tools/call', { name: 'look' }), SESSIONLESS);
		expect(await codeOf(() => gateway.respond(sessionless))).toBe('INVALID_ARGUMENT');
		expect([respond, getByName, read].map((spy) => spy.mock.calls.length)).toEqual([0, 0, 0]);
	});
});

describe('a body that never comes', () => {
	const stalled = () =>
		new ReadableStream<Uint8Array>({
			start: (controller) => controller.enqueue(new TextEncoder().encode('{"jsonrpc"')),
		});

	it('is answered 408 after the stated time, outside of a session and in one', async () => {
		const { gateway } = serve({ bodyTimeout: 100 });
		const session = await begin(gateway);
		for (const headers of [{}, { 'mcp-session-id': session }]) {
			const start = Date.now();
			const response = await gateway.respond(post(stalled(), headers));
			expect(response?.status).toBe(408);
			expect(await response?.json()).toMatchObject({ error: { data: { maxMs: 100 } } });
			expect(Date.now() - start).toBeLessThan(2_000);
		}
	});
});

describe('a body that comes byte by byte', () => {
	it('is read whole, and one without a session, too, has its limits', async () => {
		const { gateway } = serve({ maxBodyBytes: 1_000, bodyTimeout: 100 });
		const session = await begin(gateway);
		const bytes = new TextEncoder().encode(message('ping'));
		const dripping = new ReadableStream<Uint8Array>({
			start(controller) {
				for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
				controller.close();
			},
		});
		const answered = await gateway.respond(post(dripping, { 'mcp-session-id': session }));
		expect(await answered?.text()).toContain('"result"');
		const version = { 'mcp-protocol-version': '2026-07-28' };
		const large = await gateway.respond(post('{}'.padEnd(1_001), version));
		expect(large?.status).toBe(413);
		const stalled = new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(new Uint8Array(1)) });
		expect((await gateway.respond(post(stalled, version)))?.status).toBe(408);
	});
});

describe('client info that no session can have', () => {
	const icons = Array.from({ length: 20_000 }, () => ({ x: 1 }));
	const clientInfo = { ...INITIALIZE.clientInfo, icons };
	const large = { ...INITIALIZE.clientInfo, title: 'x'.repeat(MAX_SESSION_INFO_BYTES) };
	const perRequest = (told: object) => ({
		_meta: {
			'io.modelcontextprotocol/protocolVersion': '2026-07-28',
			'io.modelcontextprotocol/clientCapabilities': {},
			'io.modelcontextprotocol/clientInfo': told,
		},
	});

	it.each([
		['wrong', 400, { ...INITIALIZE, clientInfo }],
		['missing', 400, { protocolVersion: '2025-06-18', capabilities: {} }],
		['too large', 413, { ...INITIALIZE, clientInfo: large }],
		[
			'too large with its capabilities',
			413,
			{ ...INITIALIZE, capabilities: { experimental: large } },
		],
	])('is refused before the transport gets it, where it is %s', async (_, status, params) => {
		const { gateway, respond, getByName } = serve();
		const body = message('initialize', params);
		const response = await gateway.respond(post(body));
		expect(response?.status).toBe(status);
		expect(response?.headers.has('mcp-session-id')).toBe(false);
		const data = status === 413 ? { maxBytes: MAX_SESSION_INFO_BYTES } : undefined;
		const error = { code: -32602, message: expect.stringMatching(/^Invalid params: client/), data };
		expect(await response?.json()).toEqual({ jsonrpc: '2.0', id: null, error });
		expect(hasBody(respond.mock.calls)).toBe(false);
		expect(getByName).not.toHaveBeenCalled();
	});

	it('is refused with a request without a session, too, where it is too large', async () => {
		const { gateway, respond } = serve();
		for (const headers of [{}, { 'mcp-protocol-version': '2026-07-28' }]) {
			const body = message('tools/list', perRequest({ ...large, icons }));
			const response = await gateway.respond(post(body, headers));
			expect(response?.status).toBe(413);
			expect(await response?.json()).toMatchObject({ error: { code: -32602 } });
		}
		expect(hasBody(respond.mock.calls)).toBe(false);
		const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' };
		const body = message('tools/list', perRequest({ icons: [1] }));
		const small = await gateway.respond(post(body, headers));
		expect(await small?.text()).toContain('"id":1,"error":{"code":-32602');
	});
});

describe('client info of megabytes', () => {
	it('is not stored, and that is told with a code', async () => {
		const told: unknown[] = [];
		const info = new KVInfoSessionManager('TMCP_SESSION_INFO', {
			onError: (error) => void told.push(error),
		});
		const id = crypto.randomUUID();
		await info.setClientInfo(id, { name: 'x'.repeat(4_000_000), version: '1' });
		expect(told).toMatchObject([{ code: 'PAYLOAD_TOO_LARGE' }]);
		expect(await codeOf(() => info.getClientInfo(id))).toBe('SESSION_INFO_NOT_FOUND');
	});

	it('is looked at no further than the first thing that is wrong with it', async () => {
		const told: Error[] = [];
		const info = new KVInfoSessionManager('TMCP_SESSION_INFO', {
			onError: (error) => void told.push(error),
		});
		const icons = Array.from({ length: 100_000 }, () => ({ src: 1 }));
		await info.setClientInfo(crypto.randomUUID(), { name: 'x', version: '1', icons } as never);
		expect(told.map(({ message: text }) => text)).toEqual([expect.stringContaining('icons.0.src')]);
	});
});

describe('a session that a gateway began', () => {
	it('opens no stream to whoever names no owner, or another one, and that costs nothing', async () => {
		const { gateway } = serve();
		const session = await begin(gateway);
		expect(await codeOf(async () => objectOf(session).attach(session))).toBe('STREAM_DETACHED');
		const owner = 'm'.repeat(43);
		expect(await codeOf(async () => objectOf(session).attach(session, { owner }))).toBe(
			'STREAM_DETACHED',
		);
		expect(await objectOf(session).has(session)).toBe(false);
		const rows = await runInDurableObject(objectOf(session), (_, { storage }) =>
			storage.sql.exec('SELECT state FROM tmcp_sessions WHERE session_id = ?', session).toArray(),
		);
		expect(rows).toEqual([{ state: 'begun' }]);
	});

	it('nor with a ticket from before it began', async () => {
		const session = crypto.randomUUID();
		const ticket = crypto.randomUUID();
		await objectOf(session).attach(session, { ticket });
		await objectOf(session).begin(session, 'a'.repeat(43));
		const headers = { upgrade: 'websocket', 'x-tmcp-ticket': ticket };
		const refused = await objectOf(session).fetch('https://sync-layer/', { headers });
		expect(refused.status).toBeGreaterThanOrEqual(400);
		expect(await objectOf(session).has(session)).toBe(false);
	});

	it('nor through a stream manager that no gateway stands before', async () => {
		const { gateway } = serve();
		const session = await begin(gateway);
		const streams = new DurableObjectStreamSessionManager();
		const opened = new ReadableStream({
			start: (controller) => streams.create(session, controller),
		});
		expect(await opened.getReader().read()).toEqual({ done: true, value: undefined });
		expect(await objectOf(session).has(session)).toBe(false);
	});
});

describe('an initialize', () => {
	const keys = async () => (await env.TMCP_SESSION_INFO.list()).keys.map(({ name }) => name);

	it('without an id begins nothing and stores nothing', async () => {
		const { gateway, getByName } = serve();
		// The key that ids are signed with is asked for once.
		await begin(gateway);
		getByName.mockClear();
		const before = await keys();
		const body = JSON.stringify({ jsonrpc: '2.0', method: 'initialize', params: INITIALIZE });
		expect((await gateway.respond(post(body)))?.status).toBe(400);
		expect(getByName).not.toHaveBeenCalled();
		expect(await keys()).toEqual(before);
	});

	it('that tmcp cannot read is refused, and begins nothing', async () => {
		const { gateway, getByName } = serve();
		// The key that ids are signed with is asked for once.
		await begin(gateway);
		getByName.mockClear();
		const before = await keys();
		const response = await gateway.respond(
			post(message('initialize', { ...INITIALIZE, _meta: 'no object' })),
		);
		expect(response?.status).toBe(400);
		expect(response?.headers.has('mcp-session-id')).toBe(false);
		expect(await response?.json()).toMatchObject({ id: null, error: { code: -32600 } });
		expect(getByName).not.toHaveBeenCalled();
		expect(await keys()).toEqual(before);
	});

	it('that fails begins nothing, and names no session', async () => {
		const { gateway, getByName } = serve();
		// The key that ids are signed with is asked for once.
		await begin(gateway);
		getByName.mockClear();
		const before = await keys();
		const response = await gateway.respond(post(message('initialize', { protocolVersion: 7 })));
		expect(await response?.text()).toContain('"error"');
		expect(response?.headers.has('mcp-session-id')).toBe(false);
		expect(getByName).not.toHaveBeenCalled();
		expect(await keys()).toEqual(before);
	});
});

describe('a transport at another path than its gateway', () => {
	const url = 'https://example.com/elsewhere';

	it.each([
		['stream', () => new Request(url, { headers: { accept: 'text/event-stream' } })],
		['end', () => new Request(url, { method: 'DELETE' })],
		['initialize', () => post(message('initialize', INITIALIZE), {}, url)],
		['initialize without an id', () => post(withoutId('initialize', INITIALIZE), {}, url)],
		['call of a tool', () => post(message('tools/call', { name: 'look' }), {}, url)],
		['notification that is a call', () => post(withoutId('tools/call', { name: 'look' }), {}, url)],
		['log level', () => post(message('logging/setLevel', { level: 'info' }), {}, url)],
		['subscription', () => post(message('resources/subscribe', { uri: 'a://b' }), {}, url)],
		[
			'call of a revision without sessions',
			() => post(message('tools/call', { name: 'look' }), SESSIONLESS, url),
		],
	])('is refused, and nothing is done or written before: %s', async (_, request) => {
		const { gateway, ran } = serve({}, '/elsewhere');
		const writes = (['put', 'delete'] as const).map((name) =>
			vi.spyOn(env.TMCP_SESSION_INFO, name),
		);
		expect(await codeOf(() => gateway.respond(request()))).toBe('INVALID_ARGUMENT');
		// What the transport does not await.
		await scheduler.wait(20);
		expect(ran).toEqual([]);
		for (const write of writes) expect(write).not.toHaveBeenCalled();
	});
});

describe('a URI with a lone surrogate', () => {
	it.each([['KV', () => new KVInfoSessionManager('TMCP_SESSION_INFO', { onError: () => {} })]])(
		'is refused, because in %s it would be the same as others',
		async (_, make) => {
			const info = make();
			expect(await codeOf(() => info.getSubscriptions('cat://\ud800'))).toBe('INVALID_ARGUMENT');
			const session = crypto.randomUUID();
			await info.addSubscription(session, 'cat://\ud800');
			expect(await info.getSubscriptions('cat://\ufffd')).toEqual([]);
		},
	);
});

describe('ten thousand upgrades whose tickets nobody makes', () => {
	it('are refused with their code, and who has a ticket gets its socket meanwhile', async () => {
		const upgrade = (ticket: string) =>
			new Request('https://sync-layer/', {
				headers: { upgrade: 'websocket', 'x-tmcp-ticket': ticket },
			});
		await runInDurableObject(objectOf(crypto.randomUUID()), async (instance) => {
			const waiting = Array.from({ length: 10_000 }, () =>
				instance.fetch(upgrade(crypto.randomUUID())),
			);
			const { ticket } = instance.attach(crypto.randomUUID());
			const { status, webSocket } = await instance.fetch(upgrade(ticket));
			expect(status).toBe(101);
			webSocket?.accept();
			webSocket?.close();
			const statuses = new Set((await Promise.all(waiting)).map((response) => response.status));
			expect([...statuses]).toEqual([403]);
		});
	}, 30_000);
});

describe('two hundred changes of a log level, with a KV that is slow', () => {
	it('cost at most two writes each', async () => {
		let writes = 0;
		const slow = new Proxy(env.TMCP_SESSION_INFO, {
			get(target, name) {
				const method: unknown = Reflect.get(target, name);
				if (typeof method !== 'function') return method;
				return async (...args: unknown[]) => {
					if (name === 'put') writes++;
					await scheduler.wait(20);
					return Reflect.apply(method, target, args);
				};
			},
		});
		const info = new KVInfoSessionManager(slow);
		const id = crypto.randomUUID();
		const levels = ['debug', 'info', 'error'] as const;
		await Promise.all(
			Array.from({ length: 200 }, (_, index) => info.setLogLevel(id, levels[index % 3] ?? 'debug')),
		);
		expect(writes).toBeLessThanOrEqual(400);
		expect(await info.getLogLevel(id)).toBe('info');
	});
});

describe('many GETs of one session that nobody reads', () => {
	it('leave two streams open in an instance, even where they come at once', async () => {
		const streams = new DurableObjectStreamSessionManager();
		const session = crypto.randomUUID();
		const open = new Set<number>();
		const get = (nth: number) => {
			const body = new ReadableStream<Uint8Array>({
				async start(controller) {
					open.add(nth);
					const close = controller.close.bind(controller);
					controller.close = () => {
						open.delete(nth);
						close();
					};
					await streams.create(session, controller);
				},
			});
			return body;
		};
		await Promise.all(
			Array.from({ length: 20 }, (_, nth) => get(nth)).map(() => objectOf(session).has(session)),
		);
		await vi.waitFor(async () => expect(await objectOf(session).has(session)).toBe(true));
		await objectOf(session).broadcast([session], 'x'.repeat(100_000));
		for (let nth = 20; nth < 40; nth++) get(nth);
		await vi.waitFor(() => expect(open.size).toBeLessThanOrEqual(2));
		await objectOf(session).detach(session);
	});
});

describe('an option that is undefined', () => {
	it.each([
		['SessionGateway', () => serve({ owner: undefined as never })],
		[
			'KVInfoSessionManager',
			() => new KVInfoSessionManager('TMCP_SESSION_INFO', { ttl: undefined as never }),
		],
		[
			'DurableObjectStreamSessionManager',
			() =>
				new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', { info: undefined as never }),
		],
		['SyncLayer', () => parseSyncLayerOptions({ log: { maxCount: undefined } })],
		['DurableObjectSessions', () => new DurableObjectSessions({ owner: undefined as never })],
	])('of %s is refused, because its default may be less safe than what was meant', (_, make) => {
		expect(make).toThrow(/^INVALID_ARGUMENT: the option [\w.]+ of \w+ is undefined/);
	});
});

it('a DELETE by whoever does not own the session ends nothing', async () => {
	const { gateway } = serve({ owner: ({ headers }) => headers.get('x-user') ?? undefined });
	const response = await gateway.respond(
		post(message('initialize', INITIALIZE), { 'x-user': 'alice' }),
	);
	await new EventStream(response?.body ?? null).ended;
	const session = response?.headers.get('mcp-session-id') ?? '';
	const by = (user: string, method: string) =>
		gateway.respond(
			new Request('https://example.com/mcp', {
				method,
				headers: { 'x-user': user, 'mcp-session-id': session },
			}),
		);
	expect((await by('mallory', 'DELETE'))?.status).toBe(404);
	await abortAllDurableObjects();
	expect((await by('alice', 'DELETE'))?.status).toBe(200);
});
