import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSocket } from '../../src/advanced.ts';
import type { SyncLayer } from '../../src/index.ts';
import { Wire } from '../support/socket.ts';

let object: DurableObjectStub<SyncLayer>;
beforeEach(() => {
	object = env.TMCP_DURABLE_OBJECT.getByName(crypto.randomUUID());
});
afterEach(() => {
	vi.restoreAllMocks();
});

/** Let the statements fail that look like it, from the `nth` on. */
const failing = (pattern: RegExp, nth = 1) =>
	runInDurableObject(object, (_, { storage }) => {
		const prototype: SqlStorage = Object.getPrototypeOf(storage.sql);
		const { exec } = prototype;
		let calls = 0;
		vi.spyOn(prototype, 'exec').mockImplementation(function (this: SqlStorage, ...of) {
			if (pattern.test(of[0]) && ++calls >= nth) throw new Error('database or disk is full');
			return exec.apply(this, of) as never;
		});
	});

describe('a stream that cannot be opened', () => {
	it.each([/INTO tmcp_sessions/, /SELECT seq, data/])(
		'because %s fails leaves all as it was',
		async (pattern) => {
			await object.begin('one', 'o'.repeat(43));
			const older = await Wire.open(object, 'one');
			await object.broadcast(['one'], 'before');
			await failing(pattern);
			const attached = await object.attach('one', { owner: 'o'.repeat(43) });
			await expect(openSocket(object, attached)).rejects.toThrow('disk is full');
			vi.restoreAllMocks();
			await object.broadcast(['one'], 'a');
			await vi.waitFor(() => expect(older.received).toEqual(['before', 'a']));
			older.socket.close();
			await vi.waitFor(async () => expect(await object.has('one')).toBe(false));
			const back = await Wire.open(object, 'one');
			await object.broadcast(['one'], 'b');
			await vi.waitFor(() => expect(back.received).toEqual(['before', 'a', 'b']));
		},
	);
});

it('notifications of which one cannot be kept are sent when they are sent again, each once', async () => {
	const subscription = { id: 1, origin: 'o', filters: { toolsListChanged: true } };
	const subscribed = await object.subscribe(subscription);
	if (subscribed.kind !== 'subscribed') throw new Error('It is not subscribed.');
	const { webSocket } = await object.fetch('https://sync-layer/', {
		headers: { upgrade: 'websocket', 'x-tmcp-ticket': subscribed.ticket },
	});
	const frames: unknown[] = [];
	webSocket?.addEventListener('message', ({ data }) => frames.push(data));
	webSocket?.accept();
	await failing(/INTO tmcp_events/, 2);
	const method = 'notifications/tools/list_changed';
	const notification = { jsonrpc: '2.0', method } as const;
	const id = crypto.randomUUID();
	const publish = async () => object.publish([notification, notification], { id });
	await expect(publish()).rejects.toThrow('disk is full');
	vi.restoreAllMocks();
	expect(await publish()).toBe(2);
	expect(await publish()).toBe(2);
	const sent = JSON.stringify(notification);
	await vi.waitFor(() => expect(frames).toEqual(['0\n', `1\n${sent}`, `2\n${sent}`]));
});

it('a socket that refused a message gets nothing more, and its session all of it on the next', async () => {
	const wire = await Wire.open(object, 'one');
	await runInDurableObject(object, (instance, state) => {
		const prototype: WebSocket = Object.getPrototypeOf(state.getWebSockets('one')[0]);
		vi.spyOn(prototype, 'send').mockImplementationOnce(() => {
			throw new Error('no');
		});
		expect(instance.broadcast(['one'], 'a')).toEqual({ delivered: 0, waiting: 1, missed: 0 });
		instance.broadcast(['one'], 'b');
	});
	expect(await wire.closed).toMatchObject({ code: 1011 });
	expect(wire.received).toEqual([]);
	const back = await Wire.open(object, 'one');
	await vi.waitFor(() => expect(back.received).toEqual(['a', 'b']));
});

it('how many wait is right after a change that failed', async () => {
	for (const session of ['one', 'two']) await Wire.open(object, session);
	const waiting = async () => (await object.stats()).log?.waiting;
	expect(await waiting()).toBe(0);
	await failing(/INTO tmcp_sessions/);
	const detach = async (session: string) => object.detach(session);
	for (const session of ['one', 'two']) {
		await expect(detach(session)).rejects.toThrow('disk is full');
	}
	expect(await waiting()).toBe(2);
});
