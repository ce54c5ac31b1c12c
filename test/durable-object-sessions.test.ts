import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { HttpTransport, type HttpTransportOptions } from '@tmcp/transport-http';
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { McpServer } from 'tmcp';
import * as v from 'valibot';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
	DurableObjectSessions,
	type DurableObjectSessionsOptions,
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SessionHomes,
	SyncLayer,
} from '../src/index.ts';
import { codeOf } from './support/codes.ts';
import { EventStream } from './support/event-stream.ts';
import { listenRequest } from './support/listen-request.ts';
import { objectOf } from './support/objects.ts';

const URL_OF_SERVER = 'https://example.com/mcp';
const CAT = 'cat://tom';

const INITIALIZE = {
	protocolVersion: '2025-06-18',
	capabilities: { elicitation: {} },
	clientInfo: { name: 'test-client', version: '1.2.3' },
};

/** A server of one instance of a Worker, composed by these options. */
function serve(options?: DurableObjectSessionsOptions, of: Partial<HttpTransportOptions> = {}) {
	const server = new McpServer(
		{ name: 'test', version: '1.0.0', description: 'test' },
		{
			adapter: new ValibotJsonSchemaAdapter(),
			capabilities: {
				tools: { listChanged: true },
				resources: { subscribe: true, listChanged: true },
			},
		},
	);
	server.tool({ name: 'stroke', description: 'Stroke the cat' }, () => {
		server.changed('tools');
		server.changed('resource', CAT);
		return { content: [{ type: 'text', text: 'Purr' }] };
	});
	server.resource({ name: 'cat', description: 'The cat', uri: CAT }, (uri) => ({
		contents: [{ uri, text: 'Tom' }],
	}));
	server.tool({ name: 'ask', description: 'Ask the caller' }, async () => {
		const answer = await server.elicitation('How much?', v.object({ much: v.string() }));
		return { content: [{ type: 'text', text: JSON.stringify(answer) }] };
	});
	const sessions = new DurableObjectSessions(options);
	const transport = new HttpTransport(server, { ...sessions.transport, ...of });
	return { sessions, gateway: sessions.gateway(transport) };
}

type Gateway = ReturnType<typeof serve>['gateway'];

/** A client with a session, whose requests go to any instance. */
class Client {
	readonly sessionId: string;
	#headers: Record<string, string>;
	#nextId = 1;

	constructor(sessionId: string, headers: Record<string, string> = {}) {
		this.sessionId = sessionId;
		this.#headers = { ...headers, ...(sessionId === '' ? {} : { 'mcp-session-id': sessionId }) };
	}

	static async begin(gateway: Gateway, headers: Record<string, string> = {}): Promise<Client> {
		const response = await new Client('', headers).post(gateway, 'initialize', INITIALIZE);
		await new EventStream(response.body).ended;
		return new Client(response.headers.get('mcp-session-id') ?? '', headers);
	}

	async fetch(gateway: Gateway, method: string, body?: object): Promise<Response> {
		const headers = {
			'content-type': 'application/json',
			accept: 'application/json, text/event-stream',
			...this.#headers,
		};
		const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
		const response = await gateway.respond(new Request(URL_OF_SERVER, init));
		return response ?? new Response('Not found', { status: 404 });
	}

	post(gateway: Gateway, method: string, params: object = {}): Promise<Response> {
		return this.fetch(gateway, 'POST', { jsonrpc: '2.0', id: this.#nextId++, method, params });
	}

	async request(gateway: Gateway, method: string, params: object = {}): Promise<unknown> {
		const response = await this.post(gateway, method, params);
		const [message] = await new EventStream(response.body).messages(1);
		return message;
	}

	call(gateway: Gateway, name: string): Promise<unknown> {
		return this.request(gateway, 'tools/call', { name, arguments: {} });
	}

	async open(gateway: Gateway): Promise<EventStream> {
		const stream = new EventStream((await this.fetch(gateway, 'GET')).body);
		onTestFinished(() => stream.cancel());
		return stream;
	}
}

const methodsOf = (stream: EventStream) =>
	stream.events.map((data): unknown => Reflect.get(Object(JSON.parse(data)), 'method'));

describe.each([{ info: 'object' }, { info: 'kv' }] as const)(
	'one composition with %o',
	(options) => {
		it('serves sessions from any instance: a stream here, a call and an update of a resource there', async () => {
			const [one, two] = [serve(options), serve(options)];
			const client = await Client.begin(one.gateway);
			const stream = await client.open(one.gateway);
			await client.request(two.gateway, 'resources/subscribe', { uri: CAT });
			const bystander = await Client.begin(two.gateway);
			const other = await bystander.open(two.gateway);

			expect(await bystander.call(two.gateway, 'stroke')).toMatchObject({
				result: { content: [{ text: 'Purr' }] },
			});

			await stream.messages(2);
			expect(methodsOf(stream)).toEqual([
				'notifications/tools/list_changed',
				'notifications/resources/updated',
			]);
			await other.messages(1);
			expect(methodsOf(other)).toEqual(['notifications/tools/list_changed']);
		});

		it('lets a tool ask its caller, whose answer arrives at another instance', async () => {
			const [one, two] = [serve(options), serve(options)];
			const client = await Client.begin(one.gateway);
			const call = await client.post(one.gateway, 'tools/call', { name: 'ask', arguments: {} });
			const stream = new EventStream(call.body);
			const [question] = await stream.messages(1);
			const result = { action: 'accept', content: { much: 'a lot' } };
			const id: unknown = Reflect.get(Object(question), 'id');
			const answer = await client.fetch(two.gateway, 'POST', { jsonrpc: '2.0', id, result });
			expect(answer.status).toBe(202);
			const [, outcome] = await stream.messages(2);
			expect(outcome).toMatchObject({ result: { content: [{ text: JSON.stringify(result) }] } });
		});

		it('lets a client come back to the stream that it lost, and hear what it missed', async () => {
			const [one, two] = [serve(options), serve(options)];
			const client = await Client.begin(one.gateway);
			await client.open(one.gateway);
			await client.call(two.gateway, 'stroke');
			const again = await client.open(two.gateway);
			await again.messages(1);
			expect(methodsOf(again)).toContain('notifications/tools/list_changed');
		});

		it('tells who listens without a session', async () => {
			const [one, two] = [serve(options), serve(options)];
			const listen = listenRequest(URL_OF_SERVER, { toolsListChanged: true });
			const response = await one.gateway.respond(listen);
			const listener = new EventStream(response?.body ?? null);
			onTestFinished(() => listener.cancel());
			await listener.messages(1);
			const client = await Client.begin(two.gateway);
			await client.call(two.gateway, 'stroke');
			await listener.messages(2);
			expect(methodsOf(listener)).toEqual([
				'notifications/subscriptions/acknowledged',
				'notifications/tools/list_changed',
			]);
		});

		it('is 404 to another owner, and after the end of the session', async () => {
			const { gateway } = serve({
				...options,
				owner: ({ headers }) => headers.get('x-user') ?? undefined,
			});
			const alice = await Client.begin(gateway, { 'x-user': 'alice' });
			const mallory = new Client(alice.sessionId, { 'x-user': 'mallory' });
			expect((await mallory.post(gateway, 'ping')).status).toBe(404);
			expect((await alice.fetch(gateway, 'DELETE')).status).toBe(200);
			expect((await alice.post(gateway, 'ping')).status).toBe(404);
		});
	},
);

it('keeps what is known of a session in KV as long as the class keeps the session', async () => {
	class Short extends SyncLayer {
		static override readonly options = { sessionTtl: 3600 };
	}
	const { gateway } = serve({ info: 'kv', syncLayer: Short });
	const client = await Client.begin(gateway);
	const { keys } = await env.TMCP_SESSION_INFO.list();
	const ofSession = keys.filter(({ name }) => name.includes(client.sessionId));
	expect(ofSession.length).toBeGreaterThan(0);
	for (const { expiration = 0 } of ofSession) {
		expect(expiration).toBeLessThanOrEqual(Date.now() / 1000 + 3600);
		expect(expiration).toBeGreaterThan(Date.now() / 1000 + 3000);
	}
});

it('takes over what KV holds of a session, once', async () => {
	const before = serve({ info: 'kv' });
	const client = await Client.begin(before.gateway);
	await client.request(before.gateway, 'resources/subscribe', { uri: CAT });
	const after = serve({ fallback: new KVInfoSessionManager('TMCP_SESSION_INFO') });
	const stream = await client.open(after.gateway);
	await client.call(after.gateway, 'stroke');
	await stream.messages(2);
	expect(methodsOf(stream)).toContain('notifications/resources/updated');
	const { keys } = await env.TMCP_SESSION_INFO.list();
	for (const { name } of keys) await env.TMCP_SESSION_INFO.delete(name);
	await client.call(after.gateway, 'stroke');
	await stream.messages(4);
	const updates = methodsOf(stream).filter((of) => of === 'notifications/resources/updated');
	expect(updates).toHaveLength(2);
	expect(
		await after.sessions.transport.sessionManager.info.getClientInfo(client.sessionId),
	).toEqual(INITIALIZE.clientInfo);
});

it('with info in the object needs no KV', async () => {
	const before = await env.TMCP_SESSION_INFO.list();
	const { gateway } = serve();
	const client = await Client.begin(gateway);
	await client.request(gateway, 'logging/setLevel', { level: 'error' });
	expect((await env.TMCP_SESSION_INFO.list()).keys).toEqual(before.keys);
	const rows = await runInDurableObject(objectOf(client.sessionId), (_, { storage }) =>
		storage.sql
			.exec('SELECT info FROM tmcp_sessions WHERE session_id = ?', client.sessionId)
			.toArray(),
	);
	expect(rows).toEqual([{ info: expect.stringContaining('test-client') }]);
});

describe('a wrong combination is one clear error at the first request', () => {
	const begin = (gateway: Gateway) => new Client('').post(gateway, 'initialize', INITIALIZE);

	it('where the transport is at another path', async () => {
		const { gateway } = serve({}, { path: '/elsewhere' });
		expect(await codeOf(() => begin(gateway))).toBe('INVALID_ARGUMENT');
	});

	it('where the transport has another manager of what is known of clients', async () => {
		const info = new KVInfoSessionManager();
		const streams = new DurableObjectStreamSessionManager();
		const { gateway } = serve({ info: 'kv' }, { sessionManager: { streams, info } });
		expect(await codeOf(() => begin(gateway))).toBe('INVALID_ARGUMENT');
	});

	it.each<[string, Partial<HttpTransportOptions>]>([
		[
			'a stream manager',
			{
				sessionManager: {
					streams: new DurableObjectStreamSessionManager('OTHER' as never),
					info: new KVInfoSessionManager('TMCP_SESSION_INFO'),
				},
			},
		],
		[
			'a subscription manager',
			{ subscriptionManager: new DurableObjectSubscriptionManager('OTHER' as never) },
		],
		[
			'a manager of another jurisdiction',
			{
				subscriptionManager: new DurableObjectSubscriptionManager(
					new SessionHomes('TMCP_DURABLE_OBJECT', { jurisdiction: 'eu' }),
				),
			},
		],
	])('where %s has another binding', async (_, of) => {
		const { gateway } = serve({}, of);
		expect(await codeOf(() => begin(gateway))).toBe('INVALID_ARGUMENT');
		expect(await codeOf(() => gateway.respond(listenRequest(URL_OF_SERVER, {})))).toBe(
			'INVALID_ARGUMENT',
		);
	});

	it('where KV is to be taken over into KV', () => {
		expect(() => serve({ info: 'kv', fallback: new KVInfoSessionManager() } as never)).toThrow(
			'fallback',
		);
	});

	it('where the class has no SQLite', async () => {
		const { gateway } = serve({ binding: 'LEGACY_SYNC_LAYER' });
		expect(await codeOf(() => begin(gateway))).toBe('SQLITE_MISSING');
	});

	it('where there is no such binding', async () => {
		const { gateway } = serve({ binding: 'NOT_BOUND' as never });
		expect(await codeOf(() => begin(gateway))).toBe('BINDING_MISSING');
	});

	it.each([
		[{ path: 1 }, 'path'],
		[{ info: 'redis' }, 'info'],
		[{ syncLayer: Map }, 'syncLayer'],
		[{ streams: { keepAlive: 0 } }, 'keepAlive'],
		[{ listen: { maxLifetime: 'long' } }, 'maxLifetime'],
		[{ keepalive: 1_000 }, 'keepalive'],
	])('where the options are %o', (options, named) => {
		expect(() => serve(options as never)).toThrow(named);
	});
});

describe('what the transport does by itself goes through', () => {
	const request = (init: RequestInit, path = '/mcp') =>
		new Request(`https://example.com${path}`, init);
	const origin = 'https://app.example';

	it('answers a preflight', async () => {
		const { gateway } = serve({}, { cors: { origin, exposedHeaders: ['mcp-session-id'] } });
		const headers = { origin, 'access-control-request-method': 'POST' };
		const preflight = await gateway.respond(request({ method: 'OPTIONS', headers }));
		expect(preflight?.status).toBe(204);
		expect(preflight?.headers.get('access-control-allow-origin')).toBe(origin);
		const begun = await new Client('', { origin }).post(gateway, 'initialize', INITIALIZE);
		expect(begun.headers.get('access-control-expose-headers')).toBe('mcp-session-id');
		expect(begun.headers.get('access-control-allow-origin')).toBe(origin);
	});

	it('refuses other origins', async () => {
		const { gateway } = serve({}, { allowedOrigins: [origin] });
		const from = (of: string) =>
			new Client('', { origin: of }).post(gateway, 'initialize', INITIALIZE);
		expect((await from('https://evil.example')).status).toBe(403);
		expect((await from(origin)).status).toBe(200);
	});

	it('lets OAuth answer: its metadata, and 401 with WWW-Authenticate', async () => {
		const challenge =
			'Bearer resource_metadata="https://example.com/.well-known/oauth-protected-resource"';
		const oauth = {
			respond: async ({ url, headers }: Request) => {
				if (new URL(url).pathname.startsWith('/.well-known/'))
					return Response.json({ resource: url });
				if (headers.get('authorization') === 'Bearer good') return null;
				return new Response(null, { status: 401, headers: { 'www-authenticate': challenge } });
			},
			verify: async () => ({ token: 'good', clientId: 'app', scopes: [] }),
		};
		const { gateway } = serve({}, { oauth: oauth as never });
		const metadata = await gateway.respond(request({}, '/.well-known/oauth-protected-resource'));
		expect(await metadata?.json()).toMatchObject({ resource: expect.any(String) });
		for (const session of ['', crypto.randomUUID()]) {
			const refused = await new Client(session).post(gateway, 'initialize', INITIALIZE);
			expect(refused.status).toBe(401);
			expect(refused.headers.get('www-authenticate')).toBe(challenge);
		}
		const client = await Client.begin(gateway, { authorization: 'Bearer good' });
		expect((await client.post(gateway, 'ping')).status).toBe(200);
	});
});
