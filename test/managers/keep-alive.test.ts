import { describe, expect, it } from 'vitest';
import { withKeepAlive } from '../../src/index.ts';
import { EventStream } from '../support/event-stream.ts';

const EVENT_STREAM = { headers: { 'content-type': 'text/event-stream' } };
const encode = (text: string) => new TextEncoder().encode(text);

function source() {
	const cancelled = Promise.withResolvers<unknown>();
	let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
	const body = new ReadableStream<Uint8Array>({
		start: (given) => void (controller = given),
		cancel: (reason) => cancelled.resolve(reason),
	});
	return {
		body,
		cancelled: cancelled.promise,
		write: (text: string) => controller?.enqueue(encode(text)),
		close: () => controller?.close(),
		fail: (error: Error) => controller?.error(error),
	};
}

describe('withKeepAlive', () => {
	it('puts comments on an idle event stream, and passes events on as they are', async () => {
		const { body, write, close } = source();
		const stream = new EventStream(withKeepAlive(new Response(body, EVENT_STREAM), 20).body);
		write('data: 1\n\n');
		await stream.until(() => stream.comments.length >= 2, 'two comments');
		write('data: 2\n\n');
		close();
		await stream.ended;
		expect(stream.events).toEqual(['1', '2']);
		expect(new Set(stream.comments)).toEqual(new Set([': keep-alive']));
	});

	it('puts none inside an event', async () => {
		const { body, write, close } = source();
		const stream = new EventStream(withKeepAlive(new Response(body, EVENT_STREAM), 10).body);
		write('data: 1\n');
		await scheduler.wait(50);
		write('\n');
		await stream.until(() => stream.comments.length >= 1, 'a comment');
		close();
		await stream.ended;
		expect(stream.events).toEqual(['1']);
	});

	it('passes on the end, an error, and the client’s going away', async () => {
		const failing = source();
		const broken = new EventStream(withKeepAlive(new Response(failing.body, EVENT_STREAM)).body);
		failing.fail(new Error('broken'));
		await expect(broken.ended).rejects.toThrow('broken');
		const left = source();
		await withKeepAlive(new Response(left.body, EVENT_STREAM)).body?.cancel('bye');
		expect(await left.cancelled).toBe('bye');
	});

	it('returns any other response as it is', () => {
		for (const response of [
			new Response(null, EVENT_STREAM),
			new Response('{}'),
			Response.json({}),
		]) {
			expect(withKeepAlive(response)).toBe(response);
		}
	});
});
