import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import { describe, expect, it, vi } from 'vitest';
import { DurableObjectStreamSessionManager, withKeepAlive } from '../../../src/index.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { unread } from '../../support/unread.ts';

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
		writeBytes: (bytes: Uint8Array) => controller?.enqueue(bytes),
		close: () => controller?.close(),
		fail: (error: Error) => controller?.error(error),
	};
}

describe('withKeepAlive', () => {
	it('puts comments on an idle event stream, and passes events on as they are', async () => {
		const { body, write, close } = source();
		const stream = new EventStream(
			withKeepAlive(new Response(body, EVENT_STREAM), { keepAlive: 20 }).body,
		);
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
		const stream = new EventStream(
			withKeepAlive(new Response(body, EVENT_STREAM), { keepAlive: 10 }).body,
		);
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

	describe('loses nothing of a session’s stream that its client leaves unread', () => {
		/** What a session still gets after its client, which has read `read` chunks of a wrapped stream, went away. */
		async function whatIsLeft(read: number, keepAlive: number, pauseMs: number) {
			const id = crypto.randomUUID();
			const streams = new DurableObjectStreamSessionManager();
			const first = unread(streams, id);
			await first.started;
			const wrapped = withKeepAlive(new Response(first.body, EVENT_STREAM), { keepAlive });
			const reader = wrapped.body?.getReader();
			for (let count = 0; count < read; count++) await reader?.read();
			await scheduler.wait(pauseMs);
			for (const text of ['a', 'b', 'c'])
				await streams.send([id], `data: ${JSON.stringify(text)}\n\n`);
			await vi.waitFor(() => expect(first.desiredSize()).toBe(-2));
			await reader?.cancel();
			await vi.waitFor(async () => expect(await streams.has(id)).toBe(false));
			const next = unread(streams, id);
			await next.started;
			await streams.send([id], 'data: "the end"\n\n');
			const stream = new EventStream(next.body);
			await stream.until(() => stream.events.at(-1) === '"the end"', 'the end');
			await stream.cancel();
			return stream.events.slice(0, -1).map((data): unknown => JSON.parse(data));
		}

		it('where it has read nothing', async () => {
			expect(await whatIsLeft(0, 25_000, 0)).toEqual(['a', 'b', 'c']);
		});

		it('where it has read comments only', async () => {
			expect(await whatIsLeft(2, 20, 50)).toEqual(['a', 'b', 'c']);
		});
	});

	describe('cuts off a client that does not read a listen stream', () => {
		const acknowledgement =
			'data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged"}\n\n';
		const event = `data: ${'x'.repeat(92)}\n\n`;
		/** A message of 100 bytes counts for 1 KiB more. */
		const EVENT_BYTES = 100 + 1_024;

		it('at the bound, and tells the source and whoever asked', async () => {
			const { body, cancelled, write } = source();
			const onCutOff = vi.fn<() => void>();
			const options = { maxQueuedBytes: 10 * EVENT_BYTES, onCutOff };
			const reader = withKeepAlive(new Response(body, EVENT_STREAM), options).body?.getReader();
			write(acknowledgement);
			await reader?.read();
			for (let events = 0; events < 10; events++) write(event);
			await scheduler.wait(50);
			expect(onCutOff).not.toHaveBeenCalled();
			write('data: 1\n\n');
			expect(await cancelled).toMatchObject({ message: 'The client does not read its stream.' });
			expect(onCutOff).toHaveBeenCalledOnce();
			await expect(reader?.read()).rejects.toThrow('does not read');
		});

		it('as tmcp serves it', async () => {
			const server = new McpServer(
				{ name: 'test', version: '1.0.0' },
				{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
			);
			const transport = new HttpTransport(server, { path: '/mcp' });
			const version = '2026-07-28';
			const method = 'subscriptions/listen';
			const params = {
				_meta: {
					'io.modelcontextprotocol/protocolVersion': version,
					'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1.0.0' },
					'io.modelcontextprotocol/clientCapabilities': {},
				},
				notifications: { toolsListChanged: true },
			};
			const headers = {
				'content-type': 'application/json',
				'mcp-protocol-version': version,
				'mcp-method': method,
			};
			const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
			const response = await transport.respond(
				new Request('https://example.com/mcp', { method: 'POST', headers, body }),
			);
			const onCutOff = vi.fn<() => void>();
			const guarded = response && withKeepAlive(response, { maxQueuedBytes: 2_000, onCutOff });
			const reader = guarded?.body?.getReader();
			await reader?.read();
			for (let changes = 0; changes < 50; changes++) server.changed('tools');
			await vi.waitFor(() => expect(onCutOff).toHaveBeenCalledOnce());
			await expect(reader?.read()).rejects.toThrow('does not read');
		});

		it('but not one that reads slowly, nor for one large event behind a small one', async () => {
			const { body, write, close } = source();
			const options = { maxQueuedBytes: 2 * EVENT_BYTES, onCutOff: () => expect.unreachable() };
			const stream = new EventStream(withKeepAlive(new Response(body, EVENT_STREAM), options).body);
			write(acknowledgement);
			for (let events = 0; events < 30; events++) {
				write(event);
				await scheduler.wait(1);
			}
			write(event.repeat(100));
			close();
			await stream.ended;
			expect(stream.events).toHaveLength(131);
		});

		it('also where its first event comes in pieces', async () => {
			const { body, write } = source();
			const onCutOff = vi.fn<() => void>();
			const response = withKeepAlive(new Response(body, EVENT_STREAM), {
				maxQueuedBytes: 1_000,
				onCutOff,
			});
			write(': hello\n\n');
			write(acknowledgement.slice(0, 30));
			write(acknowledgement.slice(30));
			const reader = response.body?.getReader();
			for (let chunks = 0; chunks < 3; chunks++) await reader?.read();
			for (let events = 0; events < 20; events++) write(event);
			await vi.waitFor(() => expect(onCutOff).toHaveBeenCalledOnce());
		});

		it('but not because of a comment that waits behind what it has read', async () => {
			const { body, write } = source();
			const options = {
				keepAlive: 20,
				maxQueuedBytes: 2 * EVENT_BYTES,
				onCutOff: () => expect.unreachable(),
			};
			const { body: guarded } = withKeepAlive(new Response(body, EVENT_STREAM), options);
			const reader = guarded?.getReader();
			write(acknowledgement);
			await reader?.read();
			write(event.repeat(20));
			await scheduler.wait(10);
			expect((await reader?.read())?.value?.byteLength).toBe(2_000);
			await scheduler.wait(60);
			write('data: 1\n\n');
			write('data: 2\n\n');
			await scheduler.wait(10);
			expect((await reader?.read())?.value).toEqual(encode(': keep-alive\n\n'));
			await reader?.cancel();
		});

		describe('that share a total', () => {
			const MiB = 1024 * 1024;
			const large = encode(`data: ${'x'.repeat(MiB - 1_024 - 8)}\n\n`);

			/** A listen stream of which the client has read the first event only. */
			async function unreadListen() {
				const { body, cancelled, write, writeBytes } = source();
				const onCutOff = vi.fn<() => void>();
				const { body: guarded } = withKeepAlive(new Response(body, EVENT_STREAM), { onCutOff });
				const reader = guarded?.getReader();
				write(acknowledgement);
				await reader?.read();
				return { cancelled, write, writeBytes, onCutOff, cancel: () => reader?.cancel() };
			}

			it('32 MiB for all of an instance; above that the next message cuts off one with 64 KiB', async () => {
				const streams = await Promise.all(Array.from({ length: 8 }, unreadListen));
				const small = await unreadListen();
				small.write(event);
				for (let round = 0; round < 12; round++) {
					for (const { writeBytes, onCutOff } of streams) {
						if (onCutOff.mock.calls.length === 0) writeBytes(large);
					}
					await scheduler.wait(5);
					const open = streams.filter(({ onCutOff }) => onCutOff.mock.calls.length === 0);
					expect(open.length * (round + 1)).toBeLessThanOrEqual(33);
				}
				// What was cut off has made room again: the others go on.
				const [cutOff, open] = [true, false].map((isCutOff) =>
					streams.filter(({ onCutOff }) => onCutOff.mock.calls.length > 0 === isCutOff),
				);
				expect(cutOff).not.toEqual([]);
				expect(open).not.toEqual([]);
				for (const { cancelled } of cutOff ?? []) {
					expect(await cancelled).toMatchObject({
						message: 'The client does not read its stream.',
					});
				}
				for (let events = 0; events < 10; events++) small.write(event);
				await scheduler.wait(5);
				expect(small.onCutOff).not.toHaveBeenCalled();
				await Promise.all([small, ...(open ?? [])].map(({ cancel }) => cancel()));
			});

			it('which those that went away, ended or were cut off leave', async () => {
				for (let round = 0; round < 4; round++) {
					const stream = await unreadListen();
					for (let events = 0; events < 15; events++) stream.writeBytes(large);
					await scheduler.wait(5);
					expect(stream.onCutOff).not.toHaveBeenCalled();
					await stream.cancel();
				}
			});
		});

		describe('for readTimeout', () => {
			const options = { keepAlive: 20, readTimeout: 200 };

			it('while something waits: a comment is enough', async () => {
				const { body, cancelled, write } = source();
				const onCutOff = vi.fn<() => void>();
				const response = new Response(body, EVENT_STREAM);
				const reader = withKeepAlive(response, { ...options, onCutOff }).body?.getReader();
				write(acknowledgement);
				await reader?.read();
				const began = Date.now();
				expect(await cancelled).toMatchObject({ message: 'The client does not read its stream.' });
				expect(Date.now() - began).toBeGreaterThanOrEqual(200);
				expect(onCutOff).toHaveBeenCalledOnce();
				await expect(reader?.read()).rejects.toThrow('does not read');
			});

			it('also where the stream has ended meanwhile', async () => {
				const { body, write, close } = source();
				const onCutOff = vi.fn<() => void>();
				const response = new Response(body, EVENT_STREAM);
				const reader = withKeepAlive(response, { ...options, onCutOff }).body?.getReader();
				write(acknowledgement);
				await reader?.read();
				write(event);
				await scheduler.wait(10);
				close();
				await vi.waitFor(() => expect(onCutOff).toHaveBeenCalledOnce());
				await expect(reader?.read()).rejects.toThrow('does not read');
			});

			it('but not where it reads now and then, nor where nothing waits', async () => {
				const { body, write } = source();
				const onCutOff = vi.fn<() => void>();
				const response = new Response(body, EVENT_STREAM);
				const reader = withKeepAlive(response, { readTimeout: 200, onCutOff }).body?.getReader();
				write(acknowledgement);
				await reader?.read();
				for (let events = 0; events < 6; events++) write(event);
				for (let events = 0; events < 6; events++) {
					await scheduler.wait(80);
					await reader?.read();
				}
				await scheduler.wait(400);
				expect(onCutOff).not.toHaveBeenCalled();
				await reader?.cancel();
			});
		});

		it('but no other stream: nothing is read ahead of its client', async () => {
			const pull = vi.fn<(controller: ReadableStreamDefaultController<Uint8Array>) => void>(
				(controller) => controller.enqueue(encode(event)),
			);
			const body = new ReadableStream<Uint8Array>({ pull });
			const response = withKeepAlive(new Response(body, EVENT_STREAM), { maxQueuedBytes: 1 });
			await scheduler.wait(50);
			// The one that the source reads ahead of itself.
			expect(pull).toHaveBeenCalledOnce();
			await response.body?.cancel();
		});

		it.each([
			[{ keepAlive: 0 }],
			[{ maxQueuedBytes: 0 }],
			[{ readTimeout: 0 }],
			[{ interval: 1 }],
			[5],
		])('refuses the options %j', async (options) => {
			const response = new Response(source().body, EVENT_STREAM);
			expect(await codeOf(() => Reflect.apply(withKeepAlive, undefined, [response, options]))).toBe(
				'INVALID_ARGUMENT',
			);
		});
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
