import { Wire } from '../../support/socket.ts';
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { CloseCode } from '../../../src/advanced.ts';
import {
	DurableObjectStreamSessionManager,
	type StreamSessionManagerOptions,
} from '../../../src/index.ts';
import { EventStream } from '../../support/event-stream.ts';
import { onlyObject } from '../../support/objects.ts';
import { PortionedLog } from '../../support/portioned-log.ts';
import { unread } from '../../support/unread.ts';

/** What a chunk counts for beside its bytes. */
const OVERHEAD = 1_024;

const event = (text: string) => `data: ${JSON.stringify(text)}\n\n`;
const numberOf = (text: unknown) => Number.parseInt(String(text), 10);
const texts = (count: number, bytes: number) =>
	Array.from({ length: count }, (_, n) => `${n} ${'x'.repeat(bytes)}`);

/** A stream whose client has read nothing yet. */
async function open(options: StreamSessionManagerOptions = {}, log = new PortionedLog()) {
	const id = crypto.randomUUID();
	const stream = unread(new DurableObjectStreamSessionManager(log.namespace, options), id);
	await stream.started;
	return { ...stream, log, id, waiting: () => 1 - (stream.desiredSize() ?? 1) };
}

/** Reads chunk by chunk. */
function readerOf(body: ReadableStream<Uint8Array>) {
	const reader = body.getReader();
	const decoder = new TextDecoder();
	return {
		read: async () => decoder.decode((await reader.read()).value),
		cancel: () => reader.cancel(),
	};
}

describe('a client that reads slowly', () => {
	it('keeps no more waiting in the Worker than the bound, and gets everything once and in order', async () => {
		const { log, body, waiting } = await open({ maxQueuedBytes: 10_000 });
		const all = texts(100, 1_000);
		for (const text of all) log.send(event(text));
		await vi.waitFor(() => expect(log.closed).toHaveLength(1));
		const mostChunks = Math.ceil(10_000 / (1_000 + OVERHEAD)) + 1;
		const stream = readerOf(body);
		const got: unknown[] = [];
		while (got.length < all.length) {
			expect(waiting()).toBeLessThanOrEqual(mostChunks);
			await scheduler.wait(got.length % 10 === 0 ? 5 : 0);
			const [, data] = /^data: (.*)\n/m.exec(await stream.read()) ?? [];
			if (data !== undefined) got.push(JSON.parse(data));
		}
		expect(got.map(numberOf)).toEqual(all.map(numberOf));
		await vi.waitFor(() => expect(log.isLive).toBe(true));
		await stream.cancel();
	});

	it('tells the object how far it came when the socket is let go, and comes back after what it was sent', async () => {
		const { log, body } = await open({ maxQueuedBytes: 10 * (1_000 + OVERHEAD) });
		const stream = readerOf(body);
		log.send(event('read'));
		// The beginning has no event.
		while (!(await stream.read()).includes('read'));
		for (const text of texts(50, 1_000)) log.send(event(text));
		await vi.waitFor(() =>
			expect(log.closed).toEqual([{ code: CloseCode.clientGone, reason: '1' }]),
		);
		for (let read = 0; read < 10; read++) await stream.read();
		await vi.waitFor(() => expect(log.attached.length).toBeGreaterThan(1));
		const [first, second] = log.attached;
		expect(second).toMatchObject({ connectionId: first?.connectionId, resume: true });
		// It was let go with the tenth message that waited.
		expect(second?.lastEventId).toBe('0.abcdefgh.11');
		await stream.cancel();
	});

	it('asks for what it has room for', async () => {
		const maxQueuedBytes = 10 * (1_000 + OVERHEAD);
		const { log, body } = await open({ maxQueuedBytes });
		expect(log.attached[0]?.window).toBe(maxQueuedBytes);
		for (const text of texts(50, 1_000)) log.send(event(text));
		await vi.waitFor(() => expect(log.closed).toHaveLength(1));
		const stream = readerOf(body);
		for (let read = 0; read < 6; read++) await stream.read();
		await vi.waitFor(() => expect(log.attached.length).toBeGreaterThan(1));
		const { window = 0 } = log.attached[1] ?? {};
		expect(window).toBeGreaterThanOrEqual(maxQueuedBytes / 2);
		expect(window).toBeLessThan(maxQueuedBytes);
		await stream.cancel();
	});

	it('gets a message that is larger than the bound, and what follows it', async () => {
		const { log, body } = await open({ maxQueuedBytes: 1_000 });
		const all = texts(5, 50_000);
		for (const text of all) log.send(event(text));
		const stream = new EventStream(body);
		expect(await stream.messages(all.length)).toEqual(all);
		await stream.cancel();
	});

	it('is sent a backlog of 10 MB in a few seconds where it reads at full speed', async () => {
		const log = new PortionedLog();
		const all = texts(1_000, 10_000);
		for (const text of all) log.send(event(text));
		const { body } = await open({ maxQueuedBytes: 64 * 1024 }, log);
		const stream = new EventStream(body);
		expect(await stream.messages(all.length, 10_000)).toEqual(all);
		// It was never let go, because no portion was more than there was room for.
		expect(log.closed.map(({ code }) => code)).not.toContain(CloseCode.clientGone);
		await stream.cancel();
	}, 15_000);

	it('counts tiny messages for what they take', async () => {
		const { log, body, waiting } = await open({ maxQueuedBytes: 20 * OVERHEAD });
		for (let n = 0; n < 1_000; n++) log.send(event('.'));
		await vi.waitFor(() => expect(log.closed).toHaveLength(1));
		expect(waiting()).toBeLessThanOrEqual(20);
		await body.cancel();
	});

	it('gets comments only while nothing waits for it', async () => {
		const { log, body, waiting } = await open({ maxQueuedBytes: 3 * OVERHEAD, keepAlive: 20 });
		for (let n = 0; n < 10; n++) log.send(event('.'));
		await vi.waitFor(() => expect(log.closed).toHaveLength(1));
		const before = waiting();
		await scheduler.wait(100);
		expect(waiting()).toBe(before);
		const stream = new EventStream(body);
		await stream.messages(10);
		await stream.until(() => stream.comments.length >= 2, 'two comments');
		await stream.cancel();
	});
});

describe('a client that went away while its stream had no socket', () => {
	it('is told to the object, with what it took', async () => {
		const { log, body } = await open({ maxQueuedBytes: 10 * OVERHEAD });
		for (let n = 0; n < 50; n++) log.send(event('.'));
		await vi.waitFor(() => expect(log.closed).toHaveLength(1));
		const stream = readerOf(body);
		for (let read = 0; read < 3; read++) await stream.read();
		// It is looked for soon, then less and less often.
		await scheduler.wait(100);
		await stream.cancel();
		const { connectionId } = log.attached[0] ?? {};
		await vi.waitFor(() => expect(log.detached).toEqual([{ connectionId, position: 3 }]));
		expect(log.attached).toHaveLength(1);
	});

	it('gets the rest on its next stream, from the real object', async () => {
		const [id, name] = [crypto.randomUUID(), crypto.randomUUID()];
		const object = env.TMCP_DURABLE_OBJECT.getByName(name);
		const streams = new DurableObjectStreamSessionManager(
			onlyObject(env.TMCP_DURABLE_OBJECT, name),
			{ maxQueuedBytes: 10 * (1_000 + OVERHEAD) },
		);
		(await Wire.openAgain(object, id)).socket.close();
		const first = unread(streams, id);
		await first.started;
		const all = texts(40, 1_000);
		for (const text of all) await object.broadcast([id], event(text));
		await vi.waitFor(async () => expect(await object.has(id)).toBe(false));
		const stream = readerOf(first.body);
		const got: unknown[] = [];
		while (got.length < 15) {
			const [, data] = /^data: (.*)\n/m.exec(await stream.read()) ?? [];
			if (data !== undefined) got.push(JSON.parse(data));
		}
		// Long enough to be seen.
		await scheduler.wait(1_000);
		await stream.cancel();
		await vi.waitFor(async () => expect(await object.has(id)).toBe(false));
		const second = unread(streams, id);
		await second.started;
		const rest = await new EventStream(second.body).messages(all.length - got.length);
		expect([...got, ...rest].map(numberOf)).toEqual(all.map(numberOf));
		await object.detach(id);
	});
});

describe('a stream that was overtaken while it had no socket', () => {
	it.each(['attach', 'upgrade'] as const)(
		'ends once its client has read the rest (refused: %s)',
		async (refuses) => {
			const { log, body } = await open({ maxQueuedBytes: 10 * OVERHEAD });
			for (let n = 0; n < 50; n++) log.send(event(String(n)));
			await vi.waitFor(() => expect(log.closed).toHaveLength(1));
			log.refuses = refuses;
			const stream = new EventStream(body);
			await expect(stream.ended).resolves.toBeUndefined();
			expect(stream.events.length).toBeGreaterThan(0);
			expect(stream.events).toEqual(
				Array.from({ length: stream.events.length }, (_, n) => `"${n}"`),
			);
		},
	);
});

describe('a client that reads nothing', () => {
	it('is cut off after readTimeout, also where its stream had no socket', async () => {
		const onCutOff = vi.fn<(session: string) => void>();
		const { log, body, id } = await open({ maxQueuedBytes: OVERHEAD, readTimeout: 100, onCutOff });
		for (let n = 0; n < 5; n++) log.send(event('.'));
		await vi.waitFor(() => expect(onCutOff).toHaveBeenCalledWith(id), 2_000);
		await expect(body.getReader().read()).rejects.toThrow('does not read');
		const { connectionId } = log.attached[0] ?? {};
		await vi.waitFor(() => expect(log.detached).toEqual([{ connectionId, position: 0 }]));
	});

	it('is not cut off while nothing waits, nor where it reads now and then', async () => {
		const onCutOff = vi.fn<(session: string) => void>();
		const { log, body } = await open({ readTimeout: 300, onCutOff });
		await scheduler.wait(400);
		for (let n = 0; n < 8; n++) log.send(event('.'));
		const stream = readerOf(body);
		for (let n = 0; n < 8; n++) {
			await scheduler.wait(100);
			await stream.read();
		}
		expect(onCutOff).not.toHaveBeenCalled();
		await stream.cancel();
	});
});

describe('without a log', () => {
	it('a client is cut off where 16 times the bound waits, and not before', async () => {
		const [id, name] = [crypto.randomUUID(), crypto.randomUUID()];
		const onCutOff = vi.fn<(session: string) => void>();
		const streams = new DurableObjectStreamSessionManager(onlyObject(env.NO_LOG, name), {
			maxQueuedBytes: 1_000 + OVERHEAD,
			onCutOff,
		});
		const { body, started, desiredSize } = unread(streams, id);
		await started;
		const object = env.NO_LOG.getByName(name);
		const text = 'x'.repeat(990);
		for (let n = 0; n < 15; n++) await object.broadcast([id], event(text));
		await vi.waitFor(() => expect(desiredSize()).toBe(1 - 15));
		expect(await object.has(id)).toBe(true);
		expect(onCutOff).not.toHaveBeenCalled();
		for (let n = 0; n < 2; n++) await object.broadcast([id], event(text));
		await vi.waitFor(() => expect(onCutOff).toHaveBeenCalledWith(id));
		await expect(body.getReader().read()).rejects.toThrow('does not read');
		await vi.waitFor(async () => expect(await object.has(id)).toBe(false));
	});

	it('clients share a quarter of the memory of their instance, and each has its own bound while there is room', async () => {
		const name = crypto.randomUUID();
		const onCutOff = vi.fn<(session: string) => void>();
		const streams = new DurableObjectStreamSessionManager(onlyObject(env.NO_LOG, name), {
			onCutOff,
		});
		const all = Array.from({ length: 4 }, () => unread(streams, crypto.randomUUID()));
		for (const { started } of all) await started;
		const object = env.NO_LOG.getByName(name);
		const text = 'x'.repeat(1_000_000);
		for (let n = 0; n < 15; n++) await object.broadcast(undefined, event(text));
		const waiting = () => all.filter(({ desiredSize }) => desiredSize() === 1 - 15);
		// Of 15 MB each, two have room in 32 MiB.
		await vi.waitFor(() => expect([waiting().length, onCutOff.mock.calls.length]).toEqual([2, 2]), {
			timeout: 5_000,
		});
		for (const { body } of waiting()) await body.cancel();
	}, 20_000);
});

describe('superseded streams that nobody reads', () => {
	it('are one for each session at most: an older one is cut off', async () => {
		const [id, name] = [crypto.randomUUID(), crypto.randomUUID()];
		const object = env.TMCP_DURABLE_OBJECT.getByName(name);
		const streams = new DurableObjectStreamSessionManager(
			onlyObject(env.TMCP_DURABLE_OBJECT, name),
		);
		const bodies: ReadableStream<Uint8Array>[] = [];
		for (let n = 0; n < 3; n++) {
			const { body, started, desiredSize } = unread(streams, id);
			await started;
			bodies.push(body);
			await object.broadcast([id], event(String(n)));
			await vi.waitFor(() => expect(desiredSize()).toBeLessThan(1));
		}
		const [first, second, third] = bodies;
		const drained = async (body: ReadableStream<Uint8Array> | undefined) => {
			const reader = body?.getReader();
			while (!(await reader?.read())?.done);
		};
		await scheduler.wait(1_500);
		await expect(drained(first)).rejects.toThrow('does not read');
		await expect(drained(second)).resolves.toBeUndefined();
		await third?.cancel();
	});
});

describe('many slow clients of one instance', () => {
	it('share a quarter of its memory', async () => {
		const waiting: (() => number)[] = [];
		const streams = [];
		// 50 clients for each of which 1 MiB may wait: more than 32 MiB.
		for (let n = 0; n < 50; n++) {
			const stream = await open();
			for (const text of texts(30, 50_000)) stream.log.send(event(text));
			await vi.waitFor(() => expect(stream.log.closed).toHaveLength(1));
			waiting.push(stream.waiting);
			streams.push(stream);
		}
		const chunks = waiting.reduce((sum, of) => sum + of(), 0);
		expect(chunks * 50_000).toBeLessThan(32 * 1024 * 1024 + 50 * (64 * 1024 + 50_000));
		// One that reads gets everything all the same.
		const last = new EventStream(streams.at(-1)?.body ?? null);
		await last.until(() => last.events.length === 30, 'all messages');
		await last.cancel();
		for (const { body } of streams.slice(0, -1)) await body.cancel();
		const next = await open();
		expect(next.log.attached[0]?.window).toBe(1024 * 1024);
		await next.body.cancel();
	}, 20_000);
});
