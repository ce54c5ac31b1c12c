import { InMemoryStreamSessionManager, type StreamSessionManager } from '@tmcp/session-manager';
import { describe, expect, it, vi } from 'vitest';
import { DurableObjectStreamSessionManager } from '../../src/index.ts';
import { EventStream } from '../support/event-stream.ts';

/** What every StreamSessionManager does, wherever the streams are. */
const implementations: [string, () => StreamSessionManager][] = [
	['InMemoryStreamSessionManager', () => new InMemoryStreamSessionManager()],
	['DurableObjectStreamSessionManager', () => new DurableObjectStreamSessionManager()],
];

const event = (text: string) => `event: message\ndata: ${JSON.stringify(text)}\n\n`;

describe.each(implementations)('%s', (_, make) => {
	async function open(streams: StreamSessionManager, id: string): Promise<EventStream> {
		let started = Promise.resolve();
		const body = new ReadableStream<Uint8Array>({
			start: (controller) => {
				started = Promise.resolve(streams.create(id, controller));
				return started;
			},
			cancel: () => streams.delete(id),
		});
		const stream = new EventStream(body);
		await started;
		return stream;
	}

	it('has a session from create to delete', async () => {
		const [streams, id] = [make(), crypto.randomUUID()];
		expect(await streams.has(id)).toBe(false);
		const stream = await open(streams, id);
		expect(await streams.has(id)).toBe(true);
		await streams.delete(id);
		expect(await streams.has(id)).toBe(false);
		await expect(stream.ended).resolves.toBeUndefined();
	});

	it('ends quietly what is not there', async () => {
		await expect(Promise.resolve(make().delete(crypto.randomUUID()))).resolves.toBeUndefined();
	});

	it('sends to the named sessions only, and passes over those without a stream', async () => {
		const [streams, one, two] = [make(), crypto.randomUUID(), crypto.randomUUID()];
		const [first, second] = [await open(streams, one), await open(streams, two)];
		await streams.send([one, crypto.randomUUID(), one], event('for one'));
		await streams.send([], event('for nobody'));
		await streams.send([two], event('for two'));
		expect(await first.messages(1)).toEqual(['for one']);
		expect(await second.messages(1)).toEqual(['for two']);
	});

	it('sends to every session where none is named, in order', async () => {
		const [streams, one, two] = [make(), crypto.randomUUID(), crypto.randomUUID()];
		const both = [await open(streams, one), await open(streams, two)];
		const texts = Array.from({ length: 50 }, (__, i) => `message ${i} – é`);
		for (const text of texts) await streams.send(undefined, event(text));
		for (const stream of both) expect(await stream.messages(texts.length)).toEqual(texts);
		await Promise.all([streams.delete(one), streams.delete(two)]);
	});

	it('forgets a client that goes away, and takes its next stream', async () => {
		const [streams, id] = [make(), crypto.randomUUID()];
		await (await open(streams, id)).cancel();
		await vi.waitFor(async () => expect(await streams.has(id)).toBe(false));
		const stream = await open(streams, id);
		await streams.send([id], event('welcome back'));
		expect(await stream.messages(1)).toEqual(['welcome back']);
		await streams.delete(id);
	});
});
