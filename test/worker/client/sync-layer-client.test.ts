import { env } from 'cloudflare:workers';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ListedSession, SyncLayerClient } from '../../../src/client.ts';
import {
	DurableObjectInfoSessionManager,
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SessionGateway,
	SessionHomes,
} from '../../../src/index.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { HomeCalls, ownHomes } from '../../support/objects.ts';
import { INITIALIZE } from '../gateway/client.ts';

const SERVER = { name: 'test', version: '1.0.0', description: 'test' };
const UPDATED = 'notifications/resources/updated';
const LIST_CHANGED = 'notifications/tools/list_changed';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
	for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A server with four homes, and a client of another Worker. */
function installation(kind: 'object' | 'kv' = 'object') {
	const noted = new HomeCalls();
	const namespace = ownHomes(env.TMCP_DURABLE_OBJECT, crypto.randomUUID(), noted);
	const homes = new SessionHomes(namespace, { homes: 4 });
	const streams = new DurableObjectStreamSessionManager(homes);
	const info =
		kind === 'object' ? new DurableObjectInfoSessionManager(homes) : new KVInfoSessionManager();
	const transport = new HttpTransport(
		new McpServer(SERVER, { adapter: undefined, capabilities: {} }),
		{ path: '/mcp', sessionManager: { streams, info } },
	);
	const owner = (request: Request) => request.headers.get('x-user') ?? undefined;
	const gateway = new SessionGateway(transport, homes, { info, owner });
	const listeners = new DurableObjectSubscriptionManager(homes);
	const client = new SyncLayerClient(
		new SessionHomes(namespace),
		info instanceof KVInfoSessionManager ? { info } : {},
	);

	const users = new Map<string, string>();

	async function begin(user: string): Promise<string> {
		const request = new Request('https://example.com/mcp', {
			method: 'POST',
			headers: {
				'content-type': 'application/json',
				accept: 'application/json, text/event-stream',
				'x-user': user,
			},
			body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE }),
		});
		const response = await gateway.respond(request);
		await response?.text();
		const session = response?.headers.get('mcp-session-id') ?? '';
		users.set(session, user);
		return session;
	}

	async function open(session: string): Promise<EventStream> {
		const headers = { 'mcp-session-id': session, 'x-user': users.get(session) ?? '' };
		const response = await gateway.respond(new Request('https://example.com/mcp', { headers }));
		const stream = new EventStream(response?.body ?? null);
		cleanUps.push(() => stream.cancel());
		return stream;
	}

	async function listen(uri: string): Promise<unknown[]> {
		const told: unknown[] = [];
		const origin = crypto.randomUUID();
		await listeners.create(
			{ id: 1, origin, filters: { toolsListChanged: true, resourceSubscriptions: [uri] } },
			{
				acknowledge() {},
				send: (notification) => void told.push(notification),
				close: (reason) => void told.push(reason),
			},
		);
		cleanUps.push(() => listeners.closeAll(origin));
		return told;
	}

	return { noted, client, info, begin, open, listen };
}

const messagesOf = (stream: EventStream, count: number) => stream.messages(count);

describe('notify', () => {
	it('reaches all sessions and listen streams, with one call for each home', async () => {
		const { noted, client, begin, open, listen } = installation();
		const sessions = await Promise.all(Array.from({ length: 12 }, () => begin('alice')));
		const all = await Promise.all(sessions.slice(0, 10).map(open));
		const told = await listen('memo://a');
		expect(await client.notify(LIST_CHANGED)).toEqual({
			delivered: 10,
			waiting: undefined,
			missed: 0,
			listeners: 1,
		});
		const message = { jsonrpc: '2.0', method: LIST_CHANGED };
		for (const stream of all) expect(await messagesOf(stream, 1)).toEqual([message]);
		await vi.waitFor(() => expect(told).toEqual([message]));
		const used = new Set(sessions.map((session) => session.split('.')[0]));
		const calls = await noted.of(() => client.notify(LIST_CHANGED));
		expect(calls.every((call) => call.endsWith(' relay'))).toBe(true);
		expect(new Set(calls).size).toBe(calls.length);
		expect(calls.length).toBeGreaterThanOrEqual(used.size);
	});

	it.each(['object', 'kv'] as const)(
		'of a resource reaches its subscribers only, where %s keeps them',
		async (kind) => {
			const { client, info, begin, open, listen } = installation(kind);
			const [uri, other] = [`memo://${crypto.randomUUID()}`, 'memo://other'];
			const [one, two] = [await begin('alice'), await begin('bob')];
			await info.addSubscription(one, uri);
			const [first, second] = [await open(one), await open(two)];
			const told = await listen(uri);
			expect(await client.notify(UPDATED, { uri: other })).toMatchObject({
				delivered: 0,
				listeners: 0,
			});
			expect(await client.notify(UPDATED, { uri })).toMatchObject({ delivered: 1, listeners: 1 });
			await client.broadcast([two], 'event: message\ndata: "only you"\n\n');
			const message = { jsonrpc: '2.0', method: UPDATED, params: { uri } };
			expect(await messagesOf(first, 1)).toEqual([message]);
			expect(await messagesOf(second, 1)).toEqual(['only you']);
			await vi.waitFor(() => expect(told).toEqual([message]));
		},
	);

	it.each(['object', 'kv'] as const)(
		'of a resource takes one call of each home that is used, where %s keeps its subscribers',
		async (kind) => {
			const { noted, client, info, begin } = installation(kind);
			const sessions = await Promise.all(Array.from({ length: 12 }, () => begin('alice')));
			const [one = '', other = ''] = sessions;
			const uri = `memo://${crypto.randomUUID()}`;
			await Promise.all([one, other].map((session) => info.addSubscription(session, uri)));
			// The first call tells this instance which homes there are.
			await client.notify(LIST_CHANGED);
			const used = new Set(['0', ...sessions.map((session) => session.split('.')[0])]);
			expect(used.size).toBeGreaterThan(1);
			const calls = await noted.of(async () => {
				expect(await client.notify(UPDATED, { uri })).toMatchObject({ waiting: 2, missed: 0 });
			});
			expect(calls).toEqual(Array.from(used, (home) => `${home} relay`).toSorted());
		},
	);

	it('refuses what is no notification', async () => {
		const { client } = installation();
		expect(await codeOf(() => client.notify(UPDATED))).toBe('INVALID_ARGUMENT');
		expect(await codeOf(() => client.notify(LIST_CHANGED, { n: 1n }))).toBe('INVALID_ARGUMENT');
	});
});

describe('sessions', () => {
	it('are listed page by page, each once, with what waits for them', async () => {
		const { client, begin, open } = installation();
		const sessions = await Promise.all(Array.from({ length: 9 }, () => begin('alice')));
		const [away = '', here = ''] = sessions;
		await open(here);
		await client.broadcast([away, here], 'data: 1\n\n');
		await client.broadcast(undefined, 'data: 2\n\n');
		const listed: ListedSession[] = [];
		let cursor: string | undefined;
		do {
			const page = await client.sessions({ limit: 2, ...(cursor !== undefined && { cursor }) });
			expect(page.sessions.length).toBeLessThanOrEqual(2);
			listed.push(...page.sessions);
			({ cursor } = page);
		} while (cursor !== undefined);
		expect(listed.map(({ sessionId }) => sessionId).toSorted()).toEqual(sessions.toSorted());
		const of = (session: string) => listed.find(({ sessionId }) => sessionId === session);
		expect(of(here)).toMatchObject({ state: 'open', waiting: 0, client: INITIALIZE.clientInfo });
		expect(of(away)).toMatchObject({ state: 'begun', waiting: 2 });
		expect(of(sessions[5] ?? '')).toMatchObject({ state: 'begun', waiting: 1 });
		expect(of(away)?.expiresAt).toBeGreaterThan(Date.now());
	});

	it('tell when they began, where the gateway has made their id', async () => {
		const { client, begin } = installation();
		const before = Math.floor(Date.now() / 1_000) * 1_000;
		const session = await begin('alice');
		const foreign = crypto.randomUUID();
		await client.broadcast([foreign], 'data: 1\n\n');
		const listed: ListedSession[] = [];
		let page = await client.sessions();
		for (; page.cursor !== undefined; page = await client.sessions({ cursor: page.cursor })) {
			listed.push(...page.sessions);
		}
		listed.push(...page.sessions);
		const of = (id: string) => listed.find(({ sessionId }) => sessionId === id);
		expect(of(session)?.begunAt).toBeGreaterThanOrEqual(before);
		expect(of(session)?.begunAt).toBeLessThanOrEqual(Date.now());
		expect(of(foreign)).toMatchObject({ state: 'begun', begunAt: undefined });
	});

	it('are ended, one, or all of an owner', async () => {
		const { client, begin, open } = installation();
		const alices = await Promise.all(Array.from({ length: 8 }, () => begin('alice')));
		const bobs = await begin('bob');
		const [first = ''] = alices;
		const stream = await open(first);
		expect(await client.has(first)).toBe(true);
		expect(await client.end(first)).toBe(true);
		await stream.ended;
		expect(await client.has(first)).toBe(false);
		expect(await client.endAll('alice')).toBe(7);
		expect(await client.endAll('alice')).toBe(0);
		const { sessions } = await client.sessions();
		expect(sessions.length).toBeLessThanOrEqual(1);
		expect(await client.broadcast([...alices, bobs], 'data: x\n\n')).toMatchObject({
			waiting: 1,
			missed: 8,
		});
	});

	it('are not listed with a cursor that is none', async () => {
		const { client } = installation();
		for (const cursor of ['77 x', 'x', '']) {
			expect(await codeOf(() => client.sessions({ cursor }))).toBe('INVALID_ARGUMENT');
		}
		expect(await codeOf(() => client.sessions({ limit: 0 }))).toBe('INVALID_ARGUMENT');
	});
});

describe('stats', () => {
	it('are told for each home, and in sum', async () => {
		const { client, begin, open, listen } = installation();
		const sessions = await Promise.all(Array.from({ length: 8 }, () => begin('alice')));
		await Promise.all(sessions.slice(0, 6).map(open));
		await listen('memo://a');
		const { homes, sum } = await client.stats();
		expect(sum).toMatchObject({ streams: 6, sessions: 6, subscriptions: 1, log: { waiting: 2 } });
		expect(Object.keys(homes).length).toBeGreaterThan(1);
		const total = Object.values(homes).reduce((count, { streams }) => count + streams, 0);
		expect(total).toBe(6);
	});
});

it('what is published reaches listen streams only', async () => {
	const { client, begin, open, listen } = installation();
	const stream = await open(await begin('alice'));
	const told = await listen('memo://a');
	const notification = { jsonrpc: '2.0', method: LIST_CHANGED } as const;
	const id = crypto.randomUUID();
	expect(await client.publish([notification], { id })).toBe(1);
	expect(await client.publish([notification], { id })).toBe(1);
	await client.broadcast(undefined, 'data: "last"\n\n');
	await vi.waitFor(() => expect(told).toEqual([notification]));
	expect(await messagesOf(stream, 1)).toEqual(['last']);
});
