import { env, exports } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { DurableObjectStreamSessionManager, MAX_BROADCAST_BYTES } from '../../src/index.ts';
import { codeOf } from '../support/codes.ts';
import { EventStream } from '../support/event-stream.ts';

const object = () => env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
const event = (text: string) => `data: ${JSON.stringify(text)}\n\n`;

/** A stream that no 409 guards, served by a request of its own. */
async function takeOver(id: string): Promise<EventStream> {
	const response = await exports.default.fetch(
		`https://example.com/takeover?id=${encodeURIComponent(id)}`,
	);
	return new EventStream(response.body);
}

async function untilOpen(id: string): Promise<void> {
	await vi.waitFor(async () => expect(await object().has(id)).toBe(true));
}

describe('two streams of one session', () => {
	it('become one: the newer stays and gets the messages, the older ends', async () => {
		const id = crypto.randomUUID();
		const older = await takeOver(id);
		await untilOpen(id);
		const newer = await takeOver(id);
		await expect(older.ended).resolves.toBeUndefined();
		expect(await object().broadcast([id], event('hello'))).toEqual({ delivered: 1, missed: 0 });
		expect(await newer.messages(1)).toEqual(['hello']);
		expect(older.events).toEqual([]);
		await object().detach(id);
	});

	it('become one 20 of 20 times when they race', async () => {
		for (let round = 1; round <= 20; round++) {
			const id = crypto.randomUUID();
			const streams = await Promise.all([takeOver(id), takeOver(id), takeOver(id)]);
			await untilOpen(id);
			await Promise.any(streams.map(({ ended }) => ended));
			await vi.waitFor(async () => {
				expect(await object().broadcast([id], event('hello'))).toEqual({ delivered: 1, missed: 0 });
			});
			const open = await Promise.any(
				streams.map((stream) => stream.messages(1).then(() => stream)),
			);
			for (const stream of streams)
				if (stream !== open) await expect(stream.ended).resolves.toBeUndefined();
			await object().detach(id);
			await expect(open.ended).resolves.toBeUndefined();
		}
	}, 20_000);

	it('leave the newer one alone when the older one is cancelled late', async () => {
		const id = crypto.randomUUID();
		const streams = new DurableObjectStreamSessionManager();
		// Unread messages keep the older response open after it was superseded, so that it can still be cancelled.
		const older = unread(streams, id);
		await older.started;
		await streams.send([id], event('never read'));
		await vi.waitFor(() => expect(older.desiredSize()).toBeLessThan(1));
		const newer = await takeOver(id);
		await vi.waitFor(async () => expect((await object().stats()).streams).toBeGreaterThan(0));
		await older.body.cancel();
		expect(await object().broadcast([id], event('still here'))).toEqual({
			delivered: 1,
			missed: 0,
		});
		expect((await newer.messages(1)).at(-1)).toBe('still here');
		await streams.delete(id);
		await expect(newer.ended).resolves.toBeUndefined();
	});
});

/** A stream whose client does not read. */
function unread(streams: DurableObjectStreamSessionManager, id: string) {
	let started = Promise.resolve();
	let desiredSize = (): number | null => null;
	const body = new ReadableStream<Uint8Array>({
		start(controller) {
			desiredSize = () => controller.desiredSize;
			started = streams.create(id, controller);
			return started;
		},
		cancel: () => streams.delete(id),
	});
	return { body, started, desiredSize };
}

describe('a client that does not read', () => {
	it('still gets all that was queued for it when its stream ends', async () => {
		const id = crypto.randomUUID();
		const streams = new DurableObjectStreamSessionManager();
		const { body, started } = unread(streams, id);
		await started;
		for (const text of ['one', 'two', 'three']) await streams.send([id], event(text));
		await streams.delete(id);
		const stream = new EventStream(body);
		expect(await stream.messages(3)).toEqual(['one', 'two', 'three']);
		await expect(stream.ended).resolves.toBeUndefined();
	});
});

describe('bad input', () => {
	const streams = new DurableObjectStreamSessionManager();

	it('is refused with a code before the object is asked', async () => {
		const controller = { enqueue() {}, close() {}, error() {}, desiredSize: 1 };
		expect(await codeOf(() => streams.create('a b', controller))).toBe('INVALID_SESSION_ID');
		expect(await codeOf(() => streams.delete(''))).toBe('INVALID_SESSION_ID');
		expect(await codeOf(() => streams.has('é'))).toBe('INVALID_SESSION_ID');
		expect(await codeOf(() => streams.send(['ok', 'not ok'], event('x')))).toBe(
			'INVALID_SESSION_ID',
		);
	});

	it('is a payload over the platform’s limit: nothing is sent', async () => {
		const id = crypto.randomUUID();
		const stream = await takeOver(id);
		await untilOpen(id);
		const tooLarge = [
			'x'.repeat(MAX_BROADCAST_BYTES + 1),
			// Fits as UTF-8, but the RPC call would carry two bytes a character.
			`é${'x'.repeat(MAX_BROADCAST_BYTES / 2)}€`,
			// Fits into the RPC call, but not as UTF-8 into a WebSocket message.
			'€'.repeat(MAX_BROADCAST_BYTES / 2 - 1000),
		];
		for (const data of tooLarge) {
			expect(await codeOf(() => streams.send([id], data))).toBe('PAYLOAD_TOO_LARGE');
			expect(await codeOf(() => streams.send(undefined, data))).toBe('PAYLOAD_TOO_LARGE');
		}
		await streams.send([id], event('small'));
		expect(await stream.messages(1)).toEqual(['small']);
		await streams.delete(id);
	}, 15_000);

	it.each([
		{ keepAlive: 0 },
		{ keepAlive: 1.5 },
		{ keepAlive: '25s' },
		{ keepalive: 1 },
		{ info: {} },
	])('is options like %j', async (options) => {
		const make = () => Reflect.construct(DurableObjectStreamSessionManager, [undefined, options]);
		expect(await codeOf(make)).toBe('INVALID_ARGUMENT');
	});
});

describe('an object that fails', () => {
	/** A namespace whose stubs fail as the platform says they may, for the first `times` calls. */
	function failing(times: number, flags: object) {
		let calls = 0;
		const getByName = (name: string) => {
			calls++;
			if (calls > times) return env.TMCP_DURABLE_OBJECT.getByName(name);
			const fail = () =>
				Promise.reject(Object.assign(new Error('Network connection lost.'), flags));
			return { has: fail, detach: fail, broadcast: fail, attach: fail, fetch: fail };
		};
		const namespace = new Proxy(env.TMCP_DURABLE_OBJECT, {
			get: (target, name) => (name === 'getByName' ? getByName : Reflect.get(target, name)),
		});
		return { streams: new DurableObjectStreamSessionManager(namespace), calls: () => calls };
	}

	it('is asked again, with a new stub, where the platform says that it may be', async () => {
		const { streams, calls } = failing(2, { retryable: true });
		expect(await streams.has('nobody')).toBe(false);
		expect(calls()).toBe(3);
	});

	it('opens a stream after all', async () => {
		const { streams } = failing(1, { retryable: true });
		const { started } = unread(streams, 'later');
		await started;
		expect(await object().has('later')).toBe(true);
		await object().detach('later');
	});

	it.each([{}, { retryable: true, overloaded: true }])(
		'is not asked again where the error is %j',
		async (flags) => {
			const { streams, calls } = failing(1, flags);
			expect(await codeOf(() => streams.has('nobody'))).toBe('OBJECT_FAILED');
			expect(calls()).toBe(1);
		},
	);

	it('is told to whoever sends, and not sent to twice', async () => {
		const { streams, calls } = failing(9, { retryable: true });
		expect(await codeOf(() => streams.send(undefined, event('x')))).toBe('OBJECT_FAILED');
		expect(calls()).toBe(1);
	});
});
