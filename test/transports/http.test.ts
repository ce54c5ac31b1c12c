import { env } from 'cloudflare:workers';
import { evictDurableObject } from 'cloudflare:test';
import { describe, expect, it, vi } from 'vitest';
import { McpClient } from '../support/mcp-client.ts';
import { EventStream } from '../support/event-stream.ts';
import { distantKV, requestsToClients, RESOURCE, seen } from '../worker/servers.ts';

const object = () => env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
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

describe('the life of a stream', () => {
	it('goes on through hibernation of the object, three times in a row', async () => {
		const a = await new McpClient('/mcp').initialize();
		const b = await new McpClient('/mcp').initialize();
		const [streamA, streamB] = [await a.openStream(), await b.openStream()];
		await a.request('resources/subscribe', { uri: RESOURCE });
		for (const round of [1, 2, 3]) {
			await evictDurableObject(object(), { webSockets: 'hibernate' });
			await b.call('update');
			await b.call('announce');
			expect(await streamA.messages(2 * round)).toHaveLength(2 * round);
			expect(await streamB.messages(round)).toHaveLength(round);
		}
		expect(streamA.events.filter((data) => data.includes('resources/updated'))).toHaveLength(3);
		await Promise.all([a.fetch('DELETE'), b.fetch('DELETE')]);
	});

	it('ends cleanly when the object’s sockets are closed, and the next GET is 200', async () => {
		const client = await new McpClient('/mcp').initialize();
		for (const round of [1, 2, 3]) {
			const stream = await client.openStream();
			await client.call('announce');
			expect(await stream.messages(1), `round ${round}`).toHaveLength(1);
			await evictDurableObject(object(), { webSockets: 'close' });
			await expect(stream.ended).resolves.toBeUndefined();
		}
	});

	it('is over for `has` once its client has gone, so that a reconnect is 200', async () => {
		const client = await new McpClient('/mcp').initialize();
		const stream = await client.openStream();
		expect(await object().has(client.sessionId)).toBe(true);
		expect((await client.fetch('GET')).status).toBe(409);
		await stream.cancel();
		await vi.waitFor(async () => expect(await object().has(client.sessionId)).toBe(false));
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
		expect(await object().has(client.sessionId)).toBe(false);
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
			await vi.waitFor(async () => expect(await object().has(client.sessionId)).toBe(true));
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
