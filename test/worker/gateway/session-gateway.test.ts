import {
	abortAllDurableObjects,
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { HttpTransport, type HttpTransportOptions } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SyncLayerClient } from '../../../src/client.ts';
import {
	DurableObjectInfoSessionManager,
	DurableObjectStreamSessionManager,
	SessionGateway,
} from '../../../src/index.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { objectOf } from '../../support/objects.ts';
import { journal, seen } from '../../support/worker/gateway.ts';
import { INITIALIZE, SessionClient } from './client.ts';

const SERVER = { name: 'test', version: '1.0.0', description: 'test' };
const ALICE = { 'x-user': 'alice' };
/** It might be one of ours, for all that its form tells. */
const WELL_FORMED = `0.tmo5q8.${'A'.repeat(22)}.${'A'.repeat(22)}`;
/** Of the session of `client`. */
const object = () => objectOf(client.sessionId);

interface RegistrationRow extends Record<string, SqlStorageValue> {
	session_id: string;
	owner: string | null;
	state: string;
	expires_at: number;
}

const registrations = (of: DurableObjectStub = object()) =>
	runInDurableObject(of, (_, { storage }) =>
		storage.sql.exec<RegistrationRow>('SELECT * FROM tmcp_sessions').toArray(),
	);

async function registrationOf({ sessionId }: SessionClient): Promise<RegistrationRow | undefined> {
	return (await registrations(objectOf(sessionId))).find(
		({ session_id }) => session_id === sessionId,
	);
}

/** Make a session look as if it had last been heard of so much earlier. */
async function age(of: DurableObjectStub, sessionId: string, ms: number): Promise<void> {
	await runInDurableObject(of, (_, { storage }) => {
		storage.sql.exec(
			'UPDATE tmcp_sessions SET expires_at = expires_at - ? WHERE session_id = ?',
			ms,
			sessionId,
		);
	});
	// It remembers rows.
	await evictDurableObject(of, { webSockets: 'hibernate' });
}

/** All of a response that a client can see. */
async function visible(response: Response) {
	const body = [...new Uint8Array(await response.arrayBuffer())];
	return { status: response.status, headers: [...response.headers], body };
}

async function statusOf(response: Promise<Response>): Promise<number> {
	const { status, body } = await response;
	await body?.cancel();
	return status;
}

/** What the object and KV are asked for by a piece of work. */
async function asked(work: () => Promise<unknown>): Promise<string[]> {
	const before = journal.length;
	await work();
	return journal.slice(before);
}

const POST = (client: SessionClient) => client.post('ping');
const GET = (client: SessionClient) => client.fetch('GET');
const DELETE = (client: SessionClient) => client.fetch('DELETE');

let client: SessionClient;
beforeEach(async () => {
	client = await SessionClient.begin('/gateway', ALICE);
});

describe('an initialize', () => {
	it('is answered by the transport, and its session is known from then on', async () => {
		expect(client.sessionId).toMatch(/^\d\.[\da-z]{6}\.[\w-]{22}\.[\w-]{22}$/);
		expect(await client.call('whoami')).toMatchObject({
			result: { content: [{ text: 'alice' }] },
		});
	});

	it('is answered after its session was registered', async () => {
		const calls = await asked(async () => {
			const { headers } = await new SessionClient('/gateway').post('initialize', INITIALIZE);
			expect(headers.get('mcp-session-id')).not.toBeNull();
			journal.push('answered');
		});
		expect(calls.filter((call) => call.endsWith('begin') || call === 'answered')).toEqual([
			'+rpc begin',
			'-rpc begin',
			'answered',
		]);
	});

	it('gets a session of its own, whatever id it brings', async () => {
		const mallory = new SessionClient('/gateway', {
			'x-user': 'mallory',
			'mcp-session-id': client.sessionId,
		});
		const response = await mallory.post('initialize', INITIALIZE);
		expect(response.status).toBe(200);
		expect(response.headers.get('mcp-session-id')).not.toBe(client.sessionId);
		expect(await statusOf(POST(mallory))).toBe(404);
		expect(await statusOf(POST(client))).toBe(200);
	});

	it('registers nothing where the transport refuses it', async () => {
		const calls = await asked(async () => {
			const body = JSON.stringify({ jsonrpc: '1.0', id: 1, method: 'initialize' });
			expect(await statusOf(new SessionClient('/gateway').fetch('POST', { body }))).toBe(400);
		});
		expect(calls).toEqual([]);
	});

	it('cannot take over a session because the transport makes the same id again', async () => {
		const first = await SessionClient.begin('/gateway/one-id', ALICE);
		const second = new SessionClient('/gateway/one-id', { 'x-user': 'mallory' });
		expect(await codeOf(() => second.post('initialize', INITIALIZE))).toBe('INVALID_ARGUMENT');
		expect(await statusOf(POST(first))).toBe(200);
		await DELETE(first);
	});

	it('stores of the owner a hash only, and another one for each session', async () => {
		const other = await SessionClient.begin('/gateway', ALICE);
		const [one, two] = [await registrationOf(client), await registrationOf(other)];
		expect(one?.owner).toMatch(/^[\w-]{43}$/);
		expect(two?.owner).not.toBe(one?.owner);
		expect(JSON.stringify(await registrations())).not.toContain('alice');
	});
});

describe.each([
	['POST', POST],
	['GET', GET],
	['DELETE', DELETE],
])('a %s', (method, send) => {
	it('without a session id is answered 400', async () => {
		for (const nobody of [
			new SessionClient('/gateway', ALICE),
			client.with({ 'mcp-session-id': '' }),
		]) {
			const response = await send(nobody);
			expect(response.status).toBe(400);
			expect(await response.json()).toEqual({
				jsonrpc: '2.0',
				id: null,
				error: { code: -32000, message: 'Bad Request: Mcp-Session-Id header is required' },
			});
		}
	});

	it.each([
		['', '/gateway', {}],
		[', with an origin', '/gateway', { origin: 'https://good.example' }],
		[', with CORS', '/gateway/cors', {}],
		[', with CORS and an origin', '/gateway/cors', { origin: 'https://good.example' }],
	])(
		'is answered 404, byte for byte the same, for a session that was never issued, has ended, has expired, or is another’s%s',
		async (_, path, origin) => {
			const alice = { ...ALICE, ...origin };
			const [alive, ended, expired] = [
				await SessionClient.begin(path, alice),
				await SessionClient.begin(path, alice),
				await SessionClient.begin(path, alice),
			];
			expect(await statusOf(DELETE(ended))).toBe(200);
			await age(objectOf(expired.sessionId), expired.sessionId, 8 * 24 * 60 * 60 * 1000);
			const refused = {
				'never issued': alive.with({ 'mcp-session-id': WELL_FORMED }),
				'of another kind': alive.with({ 'mcp-session-id': crypto.randomUUID() }),
				'no id at all': alive.with({ 'mcp-session-id': 'with a space' }),
				ended,
				expired,
				another: alive.with({ 'x-user': 'mallory' }),
				nobody: new SessionClient(path, { ...origin, 'mcp-session-id': alive.sessionId }),
			};
			const [first, ...rest] = await Promise.all(
				Object.values(refused).map(async (by) => visible(await send(by))),
			);
			expect(first?.status).toBe(404);
			expect(JSON.parse(new TextDecoder().decode(new Uint8Array(first?.body ?? [])))).toEqual({
				jsonrpc: '2.0',
				id: null,
				error: { code: -32001, message: 'Session not found' },
			});
			const names = first?.headers.map(([name]) => name);
			expect(names).toContain('content-type');
			expect(names?.includes('access-control-allow-origin')).toBe(path === '/gateway/cors');
			for (const other of rest) expect(other).toEqual(first);
			expect(await statusOf(POST(alive))).toBe(200);
		},
	);

	it.each([
		['hibernation', () => evictDurableObject(object(), { webSockets: 'hibernate' })],
		[
			'an eviction that closes its sockets',
			() => evictDurableObject(object(), { webSockets: 'close' }),
		],
		['an abort', () => abortAllDurableObjects()],
	])('knows its session after %s of the object', async (_, interrupt) => {
		await interrupt();
		expect(await statusOf(send(client))).toBe(200);
		expect(await statusOf(send(client.with({ 'x-user': 'mallory' })))).toBe(404);
	});

	it(`costs one call of the object${method === 'POST' ? ', and one of KV beside it' : ' for the check'}`, async () => {
		const calls = await asked(() => statusOf(send(client)));
		const checks = calls.filter((call) => /rpc (admit|relay|end)|getWithMetadata/.test(call));
		if (method === 'DELETE') {
			// Which ends it as well.
			expect(checks).toEqual(['+rpc relay', '-rpc relay']);
		} else if (method === 'POST') {
			expect(checks).toHaveLength(4);
			expect(checks.slice(0, 2)).toEqual(['+kv getWithMetadata', '+rpc admit']);
		} else {
			// The first one in an instance brings the key with which the stream is opened.
			const first = checks[0]?.replace('+rpc ', '') ?? '';
			expect(['admit', 'admitWithInfo']).toContain(first);
			expect(checks).toEqual([`+rpc ${first}`, `-rpc ${first}`]);
		}
	});
});

describe('a POST', () => {
	it('has the session info that was read while the object was asked', async () => {
		await client.post('logging/setLevel', { level: 'alert' });
		const calls = await asked(() => client.call('look'));
		expect(calls.filter((call) => call.startsWith('+'))).toEqual([
			'+kv getWithMetadata',
			'+rpc admit',
		]);
		expect(seen.at(-1)).toEqual({
			sessionId: client.sessionId,
			logLevel: 'alert',
			client: 'test-client',
		});
	});

	it('has the info of its own session, however many run at once', async () => {
		const clients = await Promise.all(
			['debug', 'notice', 'error', 'emergency'].map(async (level) => {
				const one = await SessionClient.begin('/gateway', ALICE);
				await new EventStream((await one.post('logging/setLevel', { level })).body).ended;
				return { one, level };
			}),
		);
		const before = seen.length;
		const calls = await asked(() => Promise.all(clients.map(({ one }) => one.call('look'))));
		const begun = calls.filter((call) => call.startsWith('+'));
		expect(begun.toSorted()).toEqual([
			...clients.map(() => '+kv getWithMetadata'),
			...clients.map(() => '+rpc admit'),
		]);
		expect(seen.slice(before)).toEqual(
			expect.arrayContaining(
				clients.map(({ one: { sessionId }, level: logLevel }) => ({
					sessionId,
					logLevel,
					client: 'test-client',
				})),
			),
		);
	});

	it('sees what it changes itself', async () => {
		await new EventStream((await client.post('logging/setLevel', { level: 'alert' })).body).ended;
		await client.call('quieten');
		expect(seen.at(-1)).toMatchObject({ sessionId: client.sessionId, logLevel: 'critical' });
	});

	it('that is a notification passes, and one that is nothing is the transport’s to refuse', async () => {
		const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });
		expect(await statusOf(client.fetch('POST', { body }))).toBe(202);
		const broken = await client.fetch('POST', { body: '{' });
		expect(broken.status).toBe(400);
		expect(await broken.json()).toMatchObject({ error: { code: -32700 } });
	});

	it('is refused after a DELETE, of which only the end is left', async () => {
		expect(await statusOf(DELETE(client))).toBe(200);
		expect(await statusOf(POST(client))).toBe(404);
		expect(await registrationOf(client)).toMatchObject({ state: 'ended', owner: null });
	});

	it('that is refused is not an error that is logged', async () => {
		const spies = (['error', 'warn', 'log'] as const).map((name) => vi.spyOn(console, name));
		expect(await statusOf(POST(client.with({ 'x-user': 'mallory' })))).toBe(404);
		for (const spy of spies) expect(spy).not.toHaveBeenCalled();
	});
});

describe('a stream', () => {
	it('is taken over by the next GET, which does not ask whether there is one', async () => {
		const older = await client.open();
		const calls = await asked(async () => {
			const newer = await client.open();
			await older.ended;
			await client.call('announce');
			await newer.messages(1);
			await newer.cancel();
		});
		expect(older.events).toEqual([]);
		expect(calls).not.toContain('+rpc has');
	});

	it('is not taken over where that is switched off', async () => {
		const careful = await SessionClient.begin('/gateway/409', ALICE);
		const stream = await careful.open();
		await vi.waitFor(async () =>
			expect(await objectOf(careful.sessionId).has(careful.sessionId)).toBe(true),
		);
		expect(await statusOf(GET(careful))).toBe(409);
		await stream.cancel();
	});

	it('is not taken over by another owner', async () => {
		const stream = await client.open();
		expect(await statusOf(GET(client.with({ 'x-user': 'mallory' })))).toBe(404);
		await client.call('announce');
		expect(await stream.messages(1)).toHaveLength(1);
		await stream.cancel();
	});

	it('goes on exactly after its Last-Event-ID', async () => {
		const send = (text: string) =>
			object().broadcast([client.sessionId], `data: ${JSON.stringify(text)}\n\n`);
		const stream = await client.open();
		await vi.waitFor(async () => expect(await object().has(client.sessionId)).toBe(true));
		for (const text of ['a', 'b', 'c']) await send(text);
		expect(await stream.messages(3)).toEqual(['a', 'b', 'c']);
		const [a = ''] = stream.ids;
		const resumed = await client.open({ 'last-event-id': a });
		expect(await resumed.messages(2)).toEqual(['b', 'c']);
		await send('d');
		expect(await resumed.messages(3)).toEqual(['b', 'c', 'd']);
		await expect(stream.ended).resolves.toBeUndefined();
		const without = await client.open();
		await expect(resumed.ended).resolves.toBeUndefined();
		await send('e');
		expect(await without.messages(1)).toEqual(['e']);
		await without.cancel();
	});

	it('ends with the DELETE of its session', async () => {
		const stream = await client.open();
		await vi.waitFor(async () => expect(await object().has(client.sessionId)).toBe(true));
		expect(await statusOf(DELETE(client))).toBe(200);
		await expect(stream.ended).resolves.toBeUndefined();
	});
});

describe('a request of 2026-07-28', () => {
	const version = '2026-07-28';
	const params = {
		_meta: {
			'io.modelcontextprotocol/protocolVersion': version,
			'io.modelcontextprotocol/clientInfo': { name: 'sessionless', version: '1.0.0' },
			'io.modelcontextprotocol/clientCapabilities': {},
		},
	};
	const headers = { 'mcp-protocol-version': version, 'mcp-method': 'tools/list' };

	it('passes, asks nothing of the object or of KV, and has no use for a session id', async () => {
		for (const id of [{}, { 'mcp-session-id': crypto.randomUUID() }]) {
			const calls = await asked(async () => {
				const sessionless = new SessionClient('/gateway', { ...headers, ...id });
				const response = await sessionless.post('tools/list', params);
				expect(response.status).toBe(200);
				const [message] = await new EventStream(response.body).messages(1);
				expect(message).toMatchObject({ result: { tools: expect.any(Array) } });
			});
			expect(calls).toEqual([]);
		}
	});

	it('that lacks its header is the transport’s to refuse', async () => {
		const calls = await asked(async () => {
			const response = await new SessionClient('/gateway').post('tools/list', params);
			expect(response.status).toBe(400);
			expect(response.headers.has('mcp-session-id')).toBe(false);
			expect(await response.json()).not.toMatchObject({ error: { code: -32000 } });
		});
		expect(calls).toEqual([]);
	});

	it('has no GET and no DELETE', async () => {
		for (const method of ['GET', 'DELETE'])
			expect(await statusOf(client.with(headers).fetch(method))).toBe(405);
		expect(await statusOf(POST(client))).toBe(200);
	});
});

describe('a session', () => {
	const WEEK_MS = 7 * 24 * 60 * 60 * 1000;
	const MONTH_MS = 30 * 24 * 60 * 60 * 1000;

	it('expires a stated time after its last request', async () => {
		const short = await SessionClient.begin('/gateway/short', ALICE);
		for (let round = 0; round < 4; round++) {
			await scheduler.wait(400);
			expect(await statusOf(POST(short))).toBe(200);
		}
		await scheduler.wait(1_150);
		expect(await statusOf(POST(short))).toBe(404);
	});

	it('is written again once in a tenth of its time, not for each request', async () => {
		// The first one shows that the session is used, which is written a moment later.
		await statusOf(POST(client));
		const issued = await vi.waitFor(async () => {
			const registration = await registrationOf(client);
			expect(registration?.expires_at).toBeGreaterThan(Date.now() + WEEK_MS);
			return registration;
		});
		for (let round = 0; round < 5; round++) await POST(client);
		expect(await registrationOf(client)).toEqual(issued);
		await age(object(), client.sessionId, 0.11 * 7 * 24 * 60 * 60 * 1000);
		await POST(client);
		const renewed = await registrationOf(client);
		expect(renewed?.expires_at).toBeGreaterThanOrEqual(issued?.expires_at ?? Infinity);
	});

	it('leaves nothing when it has expired and the object cleans up', async () => {
		await age(object(), client.sessionId, MONTH_MS);
		await vi.waitFor(async () => expect(await runDurableObjectAlarm(object())).toBe(true));
		expect(await registrationOf(client)).toBeUndefined();
	});

	describe('whose stream is open', () => {
		let stream: EventStream;
		beforeEach(async () => {
			stream = await client.open();
			await vi.waitFor(async () => {
				if (!(await object().has(client.sessionId))) throw new Error('It has no stream yet.');
			});
		});
		afterEach(() => stream.cancel());

		it('does not expire, and has its whole time after that', async () => {
			expect(await registrationOf(client)).toMatchObject({ state: 'open' });
			await object().begin(client.sessionId, (await registrationOf(client))?.owner ?? '');
			expect(await registrationOf(client)).toMatchObject({ state: 'open' });
			await stream.cancel();
			await vi.waitFor(async () => expect(await object().has(client.sessionId)).toBe(false));
			expect((await registrationOf(client))?.expires_at).toBeGreaterThan(Date.now() + WEEK_MS);
		});

		it('does not expire when a newer stream takes its place', async () => {
			const newer = await client.open();
			await stream.ended;
			await scheduler.wait(100);
			expect(await registrationOf(client)).toMatchObject({ state: 'open' });
			await newer.cancel();
		});

		it.each([
			['an eviction', () => evictDurableObject(object(), { webSockets: 'close' })],
			['an abort', () => abortAllDurableObjects()],
		])(
			'has its whole time after %s of the object, and none once its stream is back',
			async (_, interrupt) => {
				await interrupt();
				expect(await statusOf(POST(client))).toBe(200);
				await SessionClient.begin('/gateway', { 'x-user': 'bob' });
				await vi.waitFor(
					async () => expect(await object().has(client.sessionId)).toBe(true),
					5_000,
				);
				expect(await registrationOf(client)).toMatchObject({ state: 'open' });
			},
		);
	});

	it('is purged in parts, so that no call waits for long', async () => {
		const rows = 2_500;
		await runInDurableObject(object(), (_, { storage }) => {
			for (let row = 0; row < rows; row++) {
				storage.sql.exec(
					"INSERT INTO tmcp_sessions (session_id, state, owner, since, expires_at) VALUES (?, 'begun', 'o', 0, 1)",
					`old-${row}`,
				);
			}
		});
		const left = await runInDurableObject(object(), async (instance, { storage }) => {
			storage.kv.delete('tmcp:purged_at');
			const purged = instance.alarm();
			// Others have their turn after each part.
			const { n } = storage.sql
				.exec<{ n: number }>("SELECT COUNT(*) AS n FROM tmcp_sessions WHERE owner = 'o'")
				.one();
			await purged;
			return n;
		});
		expect(left).toBeGreaterThanOrEqual(rows - 1_000);
		expect(left).toBeLessThan(rows);
		await vi.waitFor(
			async () => {
				expect((await registrations()).filter(({ owner }) => owner === 'o')).toEqual([]);
			},
			{ timeout: 5_000 },
		);
	});

	it('that ends while its stream opens in another instance has no stream', async () => {
		let open = () => {};
		const gate = new Promise<void>((resolve) => (open = resolve));
		let arrived = () => {};
		const opening = new Promise<void>((resolve) => (arrived = resolve));
		const namespace = new Proxy(env.TMCP_DURABLE_OBJECT, {
			get: (target, name): unknown => {
				if (name !== 'getByName') return Reflect.get(target, name);
				return byName;
			},
		});
		const byName = (of: string) => {
			const stub = env.TMCP_DURABLE_OBJECT.getByName(of);
			const late =
				<Args extends unknown[], Answer>(method: (...args: Args) => Answer) =>
				async (...args: Args) => {
					arrived();
					await gate;
					return method(...args);
				};
			return {
				admitWithInfo: async (...args: Parameters<typeof stub.admit>) =>
					(await stub.admit(...args)) ? {} : undefined,
				signingKey: () => stub.signingKey(),
				registerHome: (home: string) => stub.registerHome(home),
				attach: late((...args: Parameters<typeof stub.attach>) => stub.attach(...args)),
				fetch: late((request: Request) => stub.fetch(request)),
			};
		};
		const streams = new DurableObjectStreamSessionManager(namespace);
		const transport = new HttpTransport(
			new McpServer(SERVER, { adapter: undefined, capabilities: {} }),
			{
				path: '/gateway',
				sessionManager: { streams },
			},
		);
		const owner = () => 'alice';
		const gateway = new SessionGateway(transport, namespace, { path: '/gateway', owner });
		const headers = { 'mcp-session-id': client.sessionId };
		const get = gateway.respond(new Request('https://example.com/gateway', { headers }));
		await opening;
		expect(await statusOf(DELETE(client))).toBe(200);
		open();
		const stream = new EventStream((await get)?.body ?? null);
		await stream.ended;
		expect(await object().has(client.sessionId)).toBe(false);
		const rows = await runInDurableObject(object(), (_, { storage }) =>
			storage.sql
				.exec('SELECT * FROM tmcp_sessions WHERE session_id = ?', client.sessionId)
				.toArray(),
		);
		expect(rows).toMatchObject([{ state: 'ended' }]);
	});

	it('gets what was sent since it began, and nothing from before, whatever event it names', async () => {
		const alice = await client.open();
		await vi.waitFor(async () => expect(await object().has(client.sessionId)).toBe(true));
		for (const text of ['"first"', '"second"']) {
			await new SyncLayerClient().broadcast(undefined, `data: ${text}\n\n`);
		}
		await alice.messages(2);
		const bob = await SessionClient.begin('/gateway', { 'x-user': 'bob' });
		await new SyncLayerClient().broadcast(undefined, 'data: "third"\n\n');
		const stream = await bob.open({ 'last-event-id': alice.ids[0] ?? '' });
		await new SyncLayerClient().broadcast(undefined, 'data: "fourth"\n\n');
		expect(await stream.messages(2)).toEqual(['third', 'fourth']);
		await stream.cancel();
		await alice.cancel();
	});

	it('is no other server’s, though it may be the same owner’s and in the same object', async () => {
		const there = new SessionClient('/gateway/cors', {
			...ALICE,
			'mcp-session-id': client.sessionId,
		});
		expect(await statusOf(POST(there))).toBe(404);
	});

	it('is refused to others wherever the transport serves it, whatever the gateway was told', async () => {
		const respond = async (request: Request) =>
			request.url.endsWith('/served') ? new Response('served') : null;
		const gateway = new SessionGateway({ respond }, undefined, { path: '/elsewhere' });
		const headers = { 'mcp-session-id': client.sessionId };
		const post = (path: string) =>
			gateway.respond(new Request(`https://example.com${path}`, { method: 'POST', headers }));
		expect((await post('/served'))?.status).toBe(404);
		expect(await post('/nowhere')).toBeNull();
	});

	it('is looked for in the same way whether it was never issued, has ended, has expired, or is another’s', async () => {
		const ended = await SessionClient.begin('/gateway', ALICE);
		expect(await statusOf(DELETE(ended))).toBe(200);
		const expired = await SessionClient.begin('/gateway', ALICE);
		await age(objectOf(expired.sessionId), expired.sessionId, 8 * 24 * 60 * 60 * 1000);
		const ids = [crypto.randomUUID(), ended.sessionId, expired.sessionId, client.sessionId];
		// So that no object remembers any.
		for (const id of ids) await age(objectOf(id), id, 0);
		const work = await Promise.all(
			ids.map((id) =>
				runInDurableObject(objectOf(id), (instance, { storage }) => {
					const exec = vi.spyOn<SqlStorage, 'exec'>(Object.getPrototypeOf(storage.sql), 'exec');
					exec.mockClear();
					expect(instance.admit(id, 'o'.repeat(43))).toBe(false);
					return exec.mock.calls.map(([query]) => query);
				}),
			),
		);
		expect(work[0]).not.toEqual([]);
		for (const other of work) expect(other).toEqual(work[0]);
	});
});

describe('a body', () => {
	const endless = (headers: Record<string, string>) =>
		new Request('https://example.com/mcp', {
			method: 'POST',
			headers,
			body: new ReadableStream<Uint8Array>({
				async pull(controller) {
					await scheduler.wait(5);
					controller.enqueue(new Uint8Array(10));
				},
			}),
		});
	const gatewayOf = (options: HttpTransportOptions) => {
		const streams = new DurableObjectStreamSessionManager();
		const server = new McpServer(SERVER, { adapter: undefined, capabilities: {} });
		const sessionManager = { streams };
		return new SessionGateway(
			new HttpTransport(server, { path: '/mcp', sessionManager, ...options }),
		);
	};
	const json = { 'content-type': 'application/json' };

	it('is not read where the transport refuses the one who asks', async () => {
		const gateway = gatewayOf({ allowedOrigins: [] });
		const request = endless({ ...json, origin: 'https://evil.example' });
		expect((await gateway.respond(request))?.status).toBe(403);
	});

	it('is not read where it is no JSON', async () => {
		const response = await gatewayOf({}).respond(endless({ 'content-type': 'text/plain' }));
		expect(response?.status).toBe(400);
	});

	it('of more than 256 KiB is refused, outside of a session and in one', async () => {
		const padded = (bytes: number) => {
			const params = { name: 'look', arguments: {} };
			const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
			return { body: body.padEnd(bytes) };
		};
		for (const of of [client, new SessionClient('/gateway')]) {
			const refused = await of.fetch('POST', padded(256 * 1024 + 1));
			expect(refused.status).toBe(413);
			expect(await refused.json()).toMatchObject({
				id: null,
				error: { code: -32600, data: { maxBytes: 256 * 1024 } },
			});
		}
		expect(await statusOf(client.fetch('POST', padded(256 * 1024)))).toBe(200);
	});
});

describe('an initialize that cannot be registered', () => {
	it.each([
		['SQLITE_MISSING', 'LEGACY_SYNC_LAYER', 'transport'],
		['INVALID_ARGUMENT', 'TMCP_DURABLE_OBJECT', 'signed'],
	] as const)('is an error, and not answered: %s', async (code, binding, sessionIds) => {
		const respond = async ({ headers }: Request) =>
			headers.has('content-type')
				? new Response('{"jsonrpc":"2.0","id":1,"result":{}}', {
						headers: { 'mcp-session-id': crypto.randomUUID() },
					})
				: new Response(null, { status: 415 });
		const gateway = new SessionGateway({ respond }, binding, { path: null, sessionIds });
		const post = new Request('https://example.com', {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE }),
		});
		expect(await codeOf(() => gateway.respond(post))).toBe(code);
	});
});

describe('what the transport has to say comes first', () => {
	it('403 for a foreign origin, whatever the session', async () => {
		const evil = new SessionClient('/gateway/cors', { origin: 'https://evil.example' });
		expect(await statusOf(POST(evil))).toBe(403);
		expect(await statusOf(evil.post('initialize', INITIALIZE))).toBe(403);
	});

	it('and a DELETE that it refuses ends nothing', async () => {
		const good = { origin: 'https://good.example' };
		const page = await SessionClient.begin('/gateway/cors', good);
		expect(await statusOf(DELETE(page.with({ origin: 'https://evil.example' })))).toBe(403);
		expect(await statusOf(POST(page))).toBe(200);
		const deleted = await DELETE(page);
		expect(deleted.status).toBe(200);
		expect(deleted.headers.get('access-control-allow-origin')).toBe('*');
		expect(await statusOf(POST(page))).toBe(404);
	});

	it('its CORS headers, without which a page could not read why it is refused', async () => {
		const page = new SessionClient('/gateway/cors', { origin: 'https://good.example' });
		const response = await GET(page);
		expect(response.status).toBe(400);
		expect(response.headers.get('access-control-allow-origin')).toBe('*');
		expect(response.headers.get('content-type')).toBe('application/json');
		expect(response.headers.has('mcp-session-id')).toBe(false);
	});

	it('what is not served is left to others', async () => {
		const calls = await asked(async () => {
			expect(await statusOf(GET(new SessionClient('/gateway/nowhere')))).toBe(404);
		});
		expect(calls).toEqual([]);
	});

	it.each([
		[401, 401],
		[403, 403],
		[500, 404],
	])('%i where it says so to a request that is refused', async (status, expected) => {
		const transport = { respond: async () => new Response(null, { status }) };
		const gateway = new SessionGateway(transport, undefined, { path: null });
		const headers = { 'mcp-session-id': 'unknown' };
		const response = await gateway.respond(new Request('https://example.com', { headers }));
		expect(response?.status).toBe(expected);
	});
});

describe('what is wrong is told by its code', () => {
	it('SQLITE_MISSING for a class without SQLite', async () => {
		const legacy = new SessionClient('/gateway/legacy');
		expect(await codeOf(() => legacy.post('initialize', INITIALIZE))).toBe('SQLITE_MISSING');
		const returning = legacy.with({ 'mcp-session-id': WELL_FORMED });
		expect(await codeOf(() => POST(returning))).toBe('SQLITE_MISSING');
	});

	it('INVALID_ARGUMENT for options and arguments that are none', async () => {
		const transport = { respond: async () => null };
		// @ts-expect-error the options are wrong
		expect(await codeOf(() => new SessionGateway(transport, undefined, { info: {} }))).toBe(
			'INVALID_ARGUMENT',
		);
		expect(await codeOf(() => object().begin('id', 'alice'))).toBe('INVALID_ARGUMENT');
		expect(await codeOf(() => object().admit('id', ''))).toBe('INVALID_ARGUMENT');
	});

	it('BINDING_MISSING for a binding that is not there, in the first request that needs it', async () => {
		// @ts-expect-error there is no such binding
		const gateway = new SessionGateway({ respond: async () => null }, 'NOT_BOUND', { path: null });
		const headers = { 'mcp-session-id': WELL_FORMED };
		const get = () => gateway.respond(new Request('https://example.com', { headers }));
		expect(await codeOf(get)).toBe('BINDING_MISSING');
	});

	it('what the transport throws is thrown, and nobody waits for a session that does not begin', async () => {
		const info = new DurableObjectInfoSessionManager();
		const told: Promise<void>[] = [];
		const transport = {
			respond: async (request: Request) => {
				const session = request.headers.get('mcp-session-id');
				if (session === null || request.body === null) return new Response();
				told.push(info.setClientInfo(session, { name: 'a client', version: '1' }));
				throw new Error('The transport has failed.');
			},
		};
		const gateway = new SessionGateway(transport, undefined, { path: null, info });
		const body = JSON.stringify({
			jsonrpc: '2.0',
			id: 1,
			method: 'initialize',
			params: INITIALIZE,
		});
		const headers = { 'content-type': 'application/json' };
		const post = new Request('https://example.com', { method: 'POST', headers, body });
		await expect(gateway.respond(post)).rejects.toThrow('The transport has failed.');
		expect(told).toHaveLength(1);
		await Promise.race([
			Promise.allSettled(told),
			scheduler.wait(1_000).then(() => Promise.reject(new Error('It waits.'))),
		]);
	});

	it('what `owner` throws is thrown, and nothing is done', async () => {
		const respond = vi.fn<() => Promise<null>>(async () => null);
		const gateway = new SessionGateway({ respond }, undefined, {
			path: null,
			owner: () => Promise.reject(new Error('The token is not valid.')),
		});
		const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize' });
		const post = gateway.respond(new Request('https://example.com', { method: 'POST', body }));
		await expect(post).rejects.toThrow('The token is not valid.');
		expect(respond).not.toHaveBeenCalled();
	});
});

it('without a gateway and a log an object keeps of a session only that it has ended', async () => {
	const off = env.NO_LOG.getByName(crypto.randomUUID());
	await off.attach('one');
	expect(await registrations(off)).toEqual([]);
	await off.end('one');
	expect(await registrations(off)).toMatchObject([{ state: 'ended' }]);
});
