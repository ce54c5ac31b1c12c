import { env } from 'cloudflare:workers';
import { abortAllDurableObjects, evictDurableObject } from 'cloudflare:test';
import { describe, expect, it, vi } from 'vitest';
import { McpClient } from '../support/mcp-client.ts';
import { EventStream } from '../support/event-stream.ts';
import { age, keysOf } from '../support/kv.ts';
import { objectOf } from '../support/objects.ts';
import { distantKV, requestsToClients, RESOURCE, seen } from '../support/worker/servers.ts';

const TIMES = 20;

/** Do it as often as PEER's measurements did, and say how often it worked. */
async function times(work: (round: number) => Promise<unknown>): Promise<number> {
	let worked = 0;
	for (let round = 1; round <= TIMES; round++) {
		await work(round);
		worked++;
	}
	return worked;
}

describe('a notification raised by a tool that answers at once', () => {
	it('reaches the session’s stream, 20 of 20 times for tools/list_changed', async () => {
		const client = await new McpClient('/mcp').initialize();
		const stream = await client.openStream();
		const worked = await times(async (round) => {
			await client.call('announce');
			expect(await stream.messages(round)).toHaveLength(round);
		});
		expect(worked).toBe(TIMES);
		expect(JSON.parse(stream.events[0] ?? '')).toMatchObject({
			method: 'notifications/tools/list_changed',
		});
		await client.fetch('DELETE');
	});

	it('reaches subscribers only, 20 of 20 times for resources/updated with KV reads slowed to 100 ms', async () => {
		const subscriber = await new McpClient('/slow').initialize();
		const other = await new McpClient('/slow').initialize();
		const streams = [await subscriber.openStream(), await other.openStream()] as const;
		await subscriber.request('resources/subscribe', { uri: RESOURCE });
		const worked = await times(async (round) => {
			await other.call('update');
			expect(await streams[0].messages(round)).toHaveLength(round);
		});
		expect(worked).toBe(TIMES);
		expect(streams[1].events).toEqual([]);
		await subscriber.request('resources/unsubscribe', { uri: RESOURCE });
		await Promise.all([subscriber.fetch('DELETE'), other.fetch('DELETE')]);
	}, 20_000);
});

describe('what a client sends without waiting for an answer, with KV reads slowed to 100 ms', () => {
	it('has its notification handled, 20 of 20 times', async () => {
		const client = await new McpClient('/slow').initialize({ roots: { listChanged: true } });
		const worked = await times(async () => {
			const before = requestsToClients.length;
			await client.notify('notifications/roots/list_changed');
			await vi.waitFor(() =>
				expect(requestsToClients.slice(before)).toContainEqual({ method: 'roots/list' }),
			);
		});
		expect(worked).toBe(TIMES);
	}, 20_000);
});

describe('session info', () => {
	it('costs a POST one KV round trip, not three', async () => {
		const client = await new McpClient('/slow').initialize();
		await client.request('logging/setLevel', { level: 'alert' });
		const before = distantKV.reads.length;
		await client.call('look');
		expect(distantKV.reads.slice(before)).toEqual(['getWithMetadata']);
		expect(seen.at(-1)).toEqual({
			sessionId: client.sessionId,
			logLevel: 'alert',
			client: 'test-client',
		});
	});

	it('stays apart for sessions whose requests run at the same time', async () => {
		const levels = [
			'debug',
			'info',
			'notice',
			'warning',
			'error',
			'critical',
			'alert',
			'emergency',
		];
		const clients = await Promise.all(
			levels.map(async (level) => {
				const client = await new McpClient('/slow').initialize();
				await client.request('logging/setLevel', { level });
				return client;
			}),
		);
		const before = seen.length;
		await Promise.all(clients.map((client) => client.call('look')));
		const expected = clients.map(({ sessionId }, i) => ({
			sessionId,
			logLevel: levels[i],
			client: 'test-client',
		}));
		expect(seen.slice(before)).toEqual(expect.arrayContaining(expected));
	});
});

describe('the first request in the second half of a session’s life, with KV reads slowed to 100 ms', () => {
	const WEEK = 7 * 24 * 60 * 60;
	const ROUNDS = [1, 2, 3];
	const kv = env.TMCP_SESSION_INFO;
	const client = () => new McpClient('/slow').initialize();

	/** A session of which KV holds so many keys, all of them old. */
	async function aged(prepare: (client: McpClient) => Promise<unknown>, keys: number) {
		const session = await client();
		await prepare(session);
		// A request that is answered after all reads of those before it.
		await session.call('look');
		await vi.waitFor(async () => expect(await keysOf(session.sessionId)).toHaveLength(keys));
		await age(await keysOf(session.sessionId), WEEK);
		return session;
	}

	/** Wait for the renewal: for the client info, and for what is written with it. */
	async function renewed({ sessionId }: McpClient): Promise<void> {
		await vi.waitFor(async () => {
			const { metadata } = await kv.getWithMetadata<{ at: number }>(
				`tmcp:client_info:${sessionId}`,
			);
			expect(metadata?.at).toBeGreaterThan(Date.now() / 1000 - WEEK / 2);
		});
		await readsBegunBefore();
	}

	/** Wait for all reads that have begun, twice: what begins with the end of a read may read, too. */
	async function readsBegunBefore(): Promise<void> {
		const other = new McpClient('/slow');
		for (const _ of [1, 2, 3]) await other.call('look');
	}

	it('sets the log level for good', async () => {
		const clients = await Promise.all(
			ROUNDS.map(() =>
				aged((session) => session.request('logging/setLevel', { level: 'debug' }), 3),
			),
		);
		for (const session of clients) {
			await session.request('logging/setLevel', { level: 'error' });
			await renewed(session);
			expect(await kv.get(`tmcp:log_level:${session.sessionId}`)).toBe('"error"');
			await session.call('look');
			expect(seen.at(-1)).toMatchObject({ sessionId: session.sessionId, logLevel: 'error' });
		}
	}, 20_000);

	it('unsubscribes for good', async () => {
		const clients = await Promise.all(
			ROUNDS.map(() =>
				aged((session) => session.request('resources/subscribe', { uri: RESOURCE }), 4),
			),
		);
		for (const session of clients) {
			await session.request('resources/unsubscribe', { uri: RESOURCE });
			await renewed(session);
			expect((await keysOf(session.sessionId)).toSorted()).toEqual([
				`tmcp:client_capabilities:${session.sessionId}`,
				`tmcp:client_info:${session.sessionId}`,
			]);
		}
	}, 20_000);

	it.each([
		['a POST', (session: McpClient) => session.call('look')],
		['a stream', (session: McpClient) => session.openStream()],
	])(
		'is not undone by %s before it where it is a DELETE',
		async (_, before) => {
			const clients = await Promise.all(
				ROUNDS.map(() =>
					aged((session) => session.request('resources/subscribe', { uri: RESOURCE }), 4),
				),
			);
			for (const session of clients) {
				await before(session);
				expect((await session.fetch('DELETE')).status).toBe(200);
				await readsBegunBefore();
				expect(await keysOf(session.sessionId)).toEqual([]);
			}
		},
		20_000,
	);
});

describe('a session id', () => {
	const CHARACTERS = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';
	const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert'] as const;

	it('may contain any visible character, and is mistaken for no other', async () => {
		const start = crypto.randomUUID();
		const sessions = await Promise.all(
			['', ...CHARACTERS].map(async (character, i) => {
				const client = await new McpClient('/mcp', `${start}${character}end`).initialize();
				const level = LEVELS[i % LEVELS.length];
				await client.request('logging/setLevel', { level });
				return { client, level, stream: await client.openStream() };
			}),
		);
		const caller = await new McpClient('/mcp').initialize();
		for (const { client, level, stream } of sessions) {
			await client.call('look');
			expect(seen.at(-1)).toMatchObject({ sessionId: client.sessionId, logLevel: level });
			await client.request('resources/subscribe', { uri: RESOURCE });
			await caller.call('update');
			expect(await stream.messages(1)).toMatchObject([
				{ method: 'notifications/resources/updated' },
			]);
			await client.request('resources/unsubscribe', { uri: RESOURCE });
		}
		await caller.call('announce');
		for (const { client, stream } of sessions) {
			expect(await stream.messages(2), client.sessionId).toHaveLength(2);
			await client.fetch('DELETE');
			await expect(stream.ended).resolves.toBeUndefined();
			expect(await keysOf(client.sessionId)).toEqual([]);
		}
	}, 20_000);

	it.each([
		['with a space', 'a b'],
		['of 257 characters', 'a'.repeat(257)],
	])('%s is answered 400', async (_, id) => {
		for (const method of ['GET', 'DELETE']) {
			const response = await new McpClient('/mcp', id).fetch(method);
			expect(response.status).toBe(400);
			expect(await response.json()).toEqual({
				jsonrpc: '2.0',
				id: null,
				error: { code: -32600, message: expect.stringMatching(/^INVALID_SESSION_ID: /) },
			});
		}
	});
});

describe('the life of a stream', () => {
	it('goes on through hibernation of the object, three times in a row', async () => {
		const a = await new McpClient('/mcp').initialize();
		const b = await new McpClient('/mcp').initialize();
		const [streamA, streamB] = [await a.openStream(), await b.openStream()];
		await a.request('resources/subscribe', { uri: RESOURCE });
		for (const round of [1, 2, 3]) {
			await evictDurableObject(objectOf(a.sessionId), { webSockets: 'hibernate' });
			await b.call('update');
			await b.call('announce');
			expect(await streamA.messages(2 * round)).toHaveLength(2 * round);
			expect(await streamB.messages(round)).toHaveLength(round);
		}
		expect(streamA.events.filter((data) => data.includes('resources/updated'))).toHaveLength(3);
		await Promise.all([a.fetch('DELETE'), b.fetch('DELETE')]);
	});

	it.each([
		[
			'evicted with its sockets closed',
			(session: string) => evictDurableObject(objectOf(session), { webSockets: 'close' }),
		],
		['aborted', () => abortAllDurableObjects()],
	])(
		'goes on when the object is %s, three times in a row, and loses nothing',
		async (_, interrupt) => {
			const client = await new McpClient('/mcp').initialize();
			const stream = await client.openStream();
			await vi.waitFor(async () =>
				expect(await objectOf(client.sessionId).has(client.sessionId)).toBe(true),
			);
			for (const round of [1, 2, 3]) {
				await interrupt(client.sessionId);
				// Before the stream has come back: it waits in the log.
				await objectOf(client.sessionId).broadcast(
					[client.sessionId],
					`data: "waits ${round}"\n\n`,
				);
				await client.call('announce');
				expect(await stream.messages(2 * round)).toHaveLength(2 * round);
			}
			expect(stream.events.filter((data) => data.startsWith('"waits'))).toEqual([
				'"waits 1"',
				'"waits 2"',
				'"waits 3"',
			]);
			await client.fetch('DELETE');
			await expect(stream.ended).resolves.toBeUndefined();
		},
		15_000,
	);

	it('is over for `has` once its client has gone, so that a reconnect is 200', async () => {
		const client = await new McpClient('/mcp').initialize();
		const stream = await client.openStream();
		expect(await objectOf(client.sessionId).has(client.sessionId)).toBe(true);
		expect((await client.fetch('GET')).status).toBe(409);
		await stream.cancel();
		await vi.waitFor(async () =>
			expect(await objectOf(client.sessionId).has(client.sessionId)).toBe(false),
		);
		await (await client.openStream()).cancel();
	});

	it('carries keep-alive comments', async () => {
		const client = await new McpClient('/mcp').initialize();
		const stream = await client.openStream();
		await stream.until(
			() => stream.comments.filter((line) => line === ': keep-alive').length >= 2,
			'2 comments',
		);
		await client.fetch('DELETE');
	});

	it('ends with DELETE, and logs nothing', async () => {
		const log = ['error', 'warn', 'log'] as const;
		const spies = log.map((name) => vi.spyOn(console, name));
		const client = await new McpClient('/mcp').initialize();
		const stream = await client.openStream();
		expect((await client.fetch('DELETE')).status).toBe(200);
		await expect(stream.ended).resolves.toBeUndefined();
		expect(await objectOf(client.sessionId).has(client.sessionId)).toBe(false);
		for (const spy of spies) expect(spy).not.toHaveBeenCalled();
	});

	it('is one stream only, of two GETs that race', async () => {
		await times(async () => {
			const client = await new McpClient('/mcp').initialize();
			const responses = await Promise.all([client.fetch('GET'), client.fetch('GET')]);
			const streams = responses
				.filter(({ status }) => status === 200)
				.map(({ body }) => new EventStream(body));
			expect(streams.length).toBeGreaterThan(0);
			await vi.waitFor(async () =>
				expect(await objectOf(client.sessionId).has(client.sessionId)).toBe(true),
			);
			await client.call('announce');
			const open = await Promise.race(
				streams.map((stream) => stream.messages(1).then(() => stream)),
			);
			for (const stream of streams)
				if (stream !== open) await expect(stream.ended).resolves.toBeUndefined();
			expect(streams.flatMap(({ events }) => events)).toHaveLength(1);
			await client.fetch('DELETE');
			await open.ended;
		});
	}, 20_000);
});
