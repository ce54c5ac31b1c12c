import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DurableObjectStreamSessionManager, type SyncLayer } from '../../../src/index.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { lost, onlyObject } from '../../support/objects.ts';
import { unread } from '../../support/unread.ts';

/** An object of its own for each test. */
let name: string;
let id: string;
beforeEach(() => {
	[name, id] = [crypto.randomUUID(), crypto.randomUUID()];
});
afterEach(() => {
	vi.restoreAllMocks();
});

const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);
const event = (text: string) => `data: ${JSON.stringify(text)}\n\n`;
const untilOpen = (isOpen: boolean, of: DurableObjectStub<SyncLayer> = object()) =>
	vi.waitFor(async () => expect(await of.has(id)).toBe(isOpen), 3_000);

async function leave(body: ReadableStream, of?: DurableObjectStub<SyncLayer>): Promise<void> {
	await body.cancel();
	await untilOpen(false, of);
}

it('a stream that cannot be opened loses nothing of what the object handed to it', async () => {
	await object().broadcast([id], event('waits'));
	const namespace = onlyObject(env.TMCP_DURABLE_OBJECT, name, (stub) => ({
		fetch: async (...request: Parameters<typeof stub.fetch>) => {
			const { webSocket } = await stub.fetch(...request);
			webSocket?.accept();
			webSocket?.close(1001);
			throw new Error('Network connection lost.');
		},
	}));
	const { started } = unread(new DurableObjectStreamSessionManager(namespace), id);
	expect(await codeOf(() => started)).toBe('OBJECT_FAILED');
	await untilOpen(false);
	const streams = new DurableObjectStreamSessionManager(onlyObject(env.TMCP_DURABLE_OBJECT, name));
	const next = unread(streams, id);
	await next.started;
	expect(await new EventStream(next.body).messages(1)).toEqual(['waits']);
});

it('a first stream that cannot be opened is no gap for the next one, though the log was cut', async () => {
	for (const text of ['a', 'b', 'c', 'd', 'e']) {
		await env.SHORT_LOG.getByName(name).broadcast(['another'], event(text));
	}
	const losing = onlyObject(env.SHORT_LOG, name, (stub, nth) =>
		nth > 1
			? {}
			: {
					fetch: async (...request: Parameters<typeof stub.fetch>) => {
						await stub.fetch(...request);
						throw new Error('Network connection lost.');
					},
				},
	);
	const onGap = vi.fn<(session: string) => void>();
	const streams = new DurableObjectStreamSessionManager(losing, { onGap });
	expect(await codeOf(() => unread(streams, id).started)).toBe('OBJECT_FAILED');
	const next = unread(streams, id);
	await next.started;
	await streams.send([id], event('f'));
	expect(await new EventStream(next.body).messages(1)).toEqual(['f']);
	expect(onGap).not.toHaveBeenCalled();
});

describe('an answer of the object that is lost while a stream opens', () => {
	const calls = (stub: DurableObjectStub<SyncLayer>) => ({
		attach: async (...args: Parameters<SyncLayer['attach']>) => {
			await stub.attach(...args);
			throw lost();
		},
		fetch: async (...request: Parameters<typeof stub.fetch>) => {
			const { webSocket } = await stub.fetch(...request);
			webSocket?.accept();
			webSocket?.close(1000);
			throw lost();
		},
	});

	/** A manager of which one try loses the answer of a call. */
	function losing(call: 'attach' | 'fetch', tryNumber: number) {
		const onGap = vi.fn<(session: string) => void>();
		const namespace = onlyObject(env.TMCP_DURABLE_OBJECT, name, (stub, nth) =>
			nth === tryNumber ? { [call]: calls(stub)[call] } : {},
		);
		return { streams: new DurableObjectStreamSessionManager(namespace, { onGap }), onGap };
	}

	async function expectAll(body: ReadableStream<Uint8Array>): Promise<void> {
		const stream = new EventStream(body);
		expect(await stream.messages(2)).toEqual(['a', 'b']);
		await object().broadcast([id], event('the end'));
		expect(await stream.messages(3)).toEqual(['a', 'b', 'the end']);
		expect((await object().stats()).log).toMatchObject({ gaps: 0 });
		await stream.cancel();
	}

	const sendBoth = async () => {
		for (const text of ['a', 'b']) await object().broadcast([id], event(text));
	};

	describe.each(['attach', 'fetch'] as const)('(of %s)', (call) => {
		it('costs a session nothing of what waits for its first stream', async () => {
			await sendBoth();
			const { streams, onGap } = losing(call, 1);
			const { body, started } = unread(streams, id);
			await started;
			await expectAll(body);
			expect(onGap).not.toHaveBeenCalled();
		});

		it('costs a session nothing of what waits since it left', async () => {
			const before = unread(
				new DurableObjectStreamSessionManager(onlyObject(env.TMCP_DURABLE_OBJECT, name)),
				id,
			);
			await before.started;
			await leave(before.body);
			await sendBoth();
			const { streams, onGap } = losing(call, 1);
			const { body, started } = unread(streams, id);
			await started;
			await expectAll(body);
			expect(onGap).not.toHaveBeenCalled();
		});

		it('costs a stream that comes back nothing of what was sent meanwhile', async () => {
			const { streams, onGap } = losing(call, 2);
			const { body, started } = unread(streams, id);
			await started;
			await evictDurableObject(object(), { webSockets: 'close' });
			await sendBoth();
			await expectAll(body);
			expect(onGap).not.toHaveBeenCalled();
		});
	});
});

describe('an open that fails in the object', () => {
	it('leaves no stream, and is told as the failure that it is', async () => {
		const sql = (query: string) =>
			runInDurableObject(object(), (_, { storage }) => void storage.sql.exec(query));
		const attached = Promise.withResolvers<void>();
		const namespace = onlyObject(env.TMCP_DURABLE_OBJECT, name, (stub) => ({
			attach: async (...args: Parameters<SyncLayer['attach']>) => {
				const answer = await stub.attach(...args);
				attached.resolve();
				return answer;
			},
			fetch: async (...request: Parameters<typeof stub.fetch>) => {
				await attached.promise;
				await sql('ALTER TABLE tmcp_sessions RENAME TO hidden');
				return stub.fetch(...request);
			},
		}));
		const { started } = unread(new DurableObjectStreamSessionManager(namespace), id);
		expect(await codeOf(() => started)).toBe('OBJECT_FAILED');
		await sql('ALTER TABLE hidden RENAME TO tmcp_sessions');
		expect(await object().has(id)).toBe(false);
		expect(await object().stats()).toMatchObject({ streams: 0 });
	});
});

describe('a callback that throws', () => {
	const small = () => env.SHORT_LOG.getByName(name);
	const broken = [
		[
			'throws',
			() => {
				throw new Error('broken');
			},
		],
		['rejects', async () => Promise.reject(new Error('broken'))],
	] as const;

	let logged: ReturnType<typeof vi.spyOn>;
	beforeEach(() => {
		logged = vi.spyOn(console, 'error').mockImplementation(() => {});
	});

	const TEXTS = ['a', 'b', 'c', 'd', 'e'];
	const sendMany = async () => {
		for (const text of TEXTS) await small().broadcast([id], event(text));
	};

	async function expectTheRest(body: ReadableStream<Uint8Array>): Promise<void> {
		const stream = new EventStream(body);
		expect(await stream.messages(3)).toEqual(['c', 'd', 'e']);
		await small().broadcast([id], event('f'));
		expect(await stream.messages(4)).toEqual(['c', 'd', 'e', 'f']);
		expect(logged).toHaveBeenCalledTimes(1);
		await stream.cancel();
	}

	it.each(broken)('(onGap %s) costs a stream that opens nothing', async (_, onGap) => {
		const streams = new DurableObjectStreamSessionManager(onlyObject(env.SHORT_LOG, name), {
			onGap,
		});
		const before = unread(streams, id);
		await before.started;
		await leave(before.body, small());
		await sendMany();
		const { body, started } = unread(streams, id);
		await started;
		await expectTheRest(body);
	});

	it.each(broken)('(onGap %s) costs a stream that comes back nothing', async (_, onGap) => {
		const sent = Promise.withResolvers<void>();
		const namespace = onlyObject(env.SHORT_LOG, name, (stub) => ({
			attach: async (...args: Parameters<SyncLayer['attach']>) => {
				if (args[1]?.resume) await sent.promise;
				return stub.attach(...args);
			},
		}));
		const { body, started } = unread(
			new DurableObjectStreamSessionManager(namespace, { onGap }),
			id,
		);
		await started;
		await evictDurableObject(small(), { webSockets: 'close' });
		await sendMany();
		sent.resolve();
		await expectTheRest(body);
	});

	it.each(broken)('(onCutOff %s) leaves nothing of the client', async (_, onCutOff) => {
		const namespace = onlyObject(env.TMCP_DURABLE_OBJECT, name);
		const { body, started } = unread(
			new DurableObjectStreamSessionManager(namespace, {
				onCutOff,
				maxQueuedBytes: 100,
				readTimeout: 100,
			}),
			id,
		);
		await started;
		for (const text of TEXTS) await object().broadcast([id], event(text.repeat(50)));
		await vi.waitFor(() => expect(logged).toHaveBeenCalledTimes(1), 3_000);
		await expect(body.getReader().read()).rejects.toThrow('does not read');
		await untilOpen(false);
	});
});

describe('what one request sends', () => {
	type Broadcast = Parameters<SyncLayer['broadcast']>;
	type Batch = Parameters<SyncLayer['broadcastBatch']>;
	let stream: EventStream;
	beforeEach(async () => {
		const { body, started } = unread(
			new DurableObjectStreamSessionManager(onlyObject(env.TMCP_DURABLE_OBJECT, name)),
			id,
		);
		await started;
		stream = new EventStream(body);
	});
	afterEach(() => stream.cancel());

	describe.each([
		[
			'whose call was lost once',
			() => ({
				broadcast: () => Promise.reject(lost()),
				broadcastBatch: () => Promise.reject(lost()),
				relay: () => Promise.reject(lost()),
			}),
		],
		[
			'whose answer was lost once',
			(stub: DurableObjectStub<SyncLayer>) => ({
				broadcast: async (...args: Broadcast) => {
					await stub.broadcast(...args);
					throw lost();
				},
				broadcastBatch: async (...args: Batch) => {
					await stub.broadcastBatch(...args);
					throw lost();
				},
				relay: async (...args: Parameters<SyncLayer['relay']>) => {
					await stub.relay(...args);
					throw lost();
				},
			}),
		],
		[
			'whose first call was slow',
			(stub: DurableObjectStub<SyncLayer>) => ({
				broadcast: async (...args: Broadcast) => {
					await scheduler.wait(100);
					return stub.broadcast(...args);
				},
				broadcastBatch: async (...args: Batch) => {
					await scheduler.wait(100);
					return stub.broadcastBatch(...args);
				},
				relay: async (...args: Parameters<SyncLayer['relay']>) => {
					await scheduler.wait(100);
					return stub.relay(...args);
				},
			}),
		],
	])('%s', (_, faulty) => {
		let streams: DurableObjectStreamSessionManager;
		beforeEach(() => {
			streams = new DurableObjectStreamSessionManager(
				onlyObject(env.TMCP_DURABLE_OBJECT, name, (stub, nth) => (nth === 1 ? faulty(stub) : {})),
			);
		});

		/** All that the client got, once all is there. */
		async function got(): Promise<unknown[]> {
			await streams.send([id], event('the end'));
			await stream.until(() => stream.events.at(-1) === '"the end"', 'the end');
			return stream.events.slice(0, -1).map((data): unknown => JSON.parse(data));
		}

		it('at once arrives in order and once', async () => {
			await Promise.all([streams.send([id], event('a')), streams.send([id], event('b'))]);
			expect(await got()).toEqual(['a', 'b']);
		});

		it('without waiting for it arrives in order and once', async () => {
			const texts = Array.from({ length: 300 }, (__, n) => `message ${n}`);
			for (const [n, text] of texts.entries()) {
				void streams.send(n % 3 === 0 ? undefined : [id], event(text));
				if (n % 50 === 0) await scheduler.wait(1);
			}
			expect(await got()).toEqual(texts);
		});
	});
});
