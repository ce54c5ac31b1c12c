import { env, exports } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import {
	DurableObjectStreamSessionManager,
	MAX_BROADCAST_BYTES,
	SessionHomes,
} from '../../../src/index.ts';
import { DEFAULT_HOMES } from '../../../src/worker/routing/default-homes.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { objectOf } from '../../support/objects.ts';
import { unread } from '../../support/unread.ts';

const object = () => env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
const event = (text: string) => `data: ${JSON.stringify(text)}\n\n`;

/** A stream that no 409 guards, served by a request of its own. */
async function takeOver(id: string): Promise<EventStream> {
	const response = await exports.default.fetch(
		`https://example.com/takeover?id=${encodeURIComponent(id)}`,
	);
	return new EventStream(response.body);
}

/** The object's namespace with other stubs. */
function namespaceOf(getByName: (name: string) => unknown): typeof env.TMCP_DURABLE_OBJECT {
	return new Proxy(env.TMCP_DURABLE_OBJECT, {
		get: (target, name) => (name === 'getByName' ? getByName : Reflect.get(target, name)),
	});
}

async function untilOpen(id: string): Promise<void> {
	await vi.waitFor(async () => expect(await objectOf(id).has(id)).toBe(true));
}

describe('two streams of one session', () => {
	it('become one: the newer stays and gets the messages, the older ends', async () => {
		const id = crypto.randomUUID();
		const older = await takeOver(id);
		await untilOpen(id);
		const newer = await takeOver(id);
		await expect(older.ended).resolves.toBeUndefined();
		expect(await objectOf(id).broadcast([id], event('hello'))).toMatchObject({
			delivered: 1,
			missed: 0,
		});
		expect(await newer.messages(1)).toEqual(['hello']);
		expect(older.events).toEqual([]);
		await objectOf(id).detach(id);
	});

	it('become one 20 of 20 times when they race', async () => {
		for (let round = 1; round <= 20; round++) {
			const id = crypto.randomUUID();
			const streams = await Promise.all([takeOver(id), takeOver(id), takeOver(id)]);
			await untilOpen(id);
			await Promise.any(streams.map(({ ended }) => ended));
			await vi.waitFor(async () => {
				expect(await objectOf(id).broadcast([id], event('hello'))).toMatchObject({
					delivered: 1,
					missed: 0,
				});
			});
			const open = await Promise.any(
				streams.map((stream) => stream.messages(1).then(() => stream)),
			);
			for (const stream of streams)
				if (stream !== open) await expect(stream.ended).resolves.toBeUndefined();
			await objectOf(id).detach(id);
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
		await vi.waitFor(async () => expect((await objectOf(id).stats()).streams).toBeGreaterThan(0));
		await older.body.cancel();
		expect(await objectOf(id).broadcast([id], event('still here'))).toMatchObject({
			delivered: 1,
			missed: 0,
		});
		// Before it comes what the first stream of the session left unread.
		expect((await newer.messages(2)).at(-1)).toBe('still here');
		await streams.delete(id);
		await expect(newer.ended).resolves.toBeUndefined();
	});
});

describe('two streams of one session that one manager serves in two requests', () => {
	it('leave the newer one alone when the older one is cancelled with messages unread', async () => {
		const id = crypto.randomUUID();
		const older = await takeOverUnread(id);
		await untilOpen(id);
		const backlog = event('never read'.repeat(100_000));
		for (let round = 1; round <= 3; round++) await objectOf(id).broadcast([id], backlog);
		const newer = await takeOver(id);
		await vi.waitFor(async () =>
			expect(await objectOf(id).broadcast([id], event('for the newer'))).toMatchObject({
				delivered: 1,
			}),
		);
		// Three that the first stream of the session left unread, handed over once more.
		await newer.messages(4);
		await older.cancel();
		expect(await objectOf(id).has(id)).toBe(true);
		expect(await objectOf(id).broadcast([id], event('still here'))).toMatchObject({ delivered: 1 });
		const isThere = () => newer.events.at(-1) === '"still here"';
		await newer.until(isThere, 'the last message').catch(() => expect.unreachable());
		await objectOf(id).detach(id);
		await expect(newer.ended).resolves.toBeUndefined();
	});
});

describe('a stream that is cancelled while it is opening', () => {
	/** The object as a distant Worker sees it. */
	function distant(delay: (call: () => Promise<unknown>) => Promise<unknown>) {
		return namespaceOf((name) => {
			const stub = env.TMCP_DURABLE_OBJECT.getByName(name);
			const slowly =
				(method: 'attach' | 'fetch') =>
				(...args: unknown[]) =>
					delay(() => Reflect.apply(stub[method], stub, args));
			return {
				attach: slowly('attach'),
				fetch: slowly('fetch'),
				detach: (...args: unknown[]) => Reflect.apply(stub.detach, stub, args),
				registerHome: (home: string) => stub.registerHome(home),
			};
		});
	}
	const afterwards = async (call: () => Promise<unknown>) => {
		const answer = await call();
		await scheduler.wait(100);
		return answer;
	};
	const before = async (call: () => Promise<unknown>) => {
		await scheduler.wait(100);
		return call();
	};

	it.each([
		['the call', before],
		['its answer', afterwards],
	])('is over for the object soon after it has opened, %s being slow', async (_, delay) => {
		const id = crypto.randomUUID();
		const homes = new SessionHomes(distant(delay));
		// Else the session would get its home first.
		await homes.toBegin(id);
		const { body, started } = unread(new DurableObjectStreamSessionManager(homes), id);
		await body.cancel();
		await started;
		await vi.waitFor(async () => expect(await objectOf(id).has(id)).toBe(false), 1_000);
		expect(await objectOf(id).broadcast([id], event('x'))).toEqual({
			delivered: 0,
			waiting: 1,
			missed: 0,
		});
	});

	it.each([
		['the call', before],
		['its answer', afterwards],
	])('leaves alone a stream that took its place meanwhile, %s being slow', async (_, delay) => {
		const id = crypto.randomUUID();
		const homes = new SessionHomes(distant(delay));
		// Else the session would get its home first.
		await homes.toBegin(id);
		const { body, started } = unread(new DurableObjectStreamSessionManager(homes), id);
		const newer = await takeOver(id);
		await untilOpen(id);
		await body.cancel();
		await started;
		expect(await objectOf(id).broadcast([id], event('still here'))).toMatchObject({
			delivered: 1,
			missed: 0,
		});
		expect(await newer.messages(1)).toEqual(['still here']);
		await objectOf(id).detach(id);
		await expect(newer.ended).resolves.toBeUndefined();
	});
});

describe('the info of a session with an open stream', () => {
	it('is touched at once, again and again, and no more when the stream has ended', async () => {
		const touched: string[] = [];
		const touches = (id: string) => touched.filter((of) => of === id).length;
		const info = { touchIntervalMs: 20, touch: (id: string) => void touched.push(id) };
		const streams = new DurableObjectStreamSessionManager(undefined, { info });
		const [id, other] = [crypto.randomUUID(), crypto.randomUUID()];
		const { body, started } = unread(streams, id);
		await started;
		expect(touched).toEqual([id]);
		await vi.waitFor(() => expect(touches(id)).toBeGreaterThan(3));
		await streams.delete(id);
		await new EventStream(body).ended;
		const touchedInLife = touches(id);
		// Another stream shows that time goes on.
		const { started: otherStarted } = unread(streams, other);
		await otherStarted;
		await vi.waitFor(() => expect(touches(other)).toBeGreaterThan(3));
		expect(touches(id)).toBe(touchedInLife);
		await streams.delete(other);
	});
});

/** A stream of a request of its own whose client does not read. */
async function takeOverUnread(id: string): Promise<ReadableStream<Uint8Array>> {
	const { body } = await exports.default.fetch(`https://example.com/takeover?id=${id}`);
	if (!body) throw new Error('The response has no body.');
	return body;
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

describe('a client that reads nothing at all', () => {
	it('is cut off after a while, which is reported, and can come back for the rest', async () => {
		const id = crypto.randomUUID();
		const cutOff: string[] = [];
		const streams = new DurableObjectStreamSessionManager(undefined, {
			maxQueuedBytes: 10_000,
			readTimeout: 200,
			onCutOff: (session) => void cutOff.push(session),
		});
		const { body, started } = unread(streams, id);
		await started;
		const texts = Array.from({ length: 20 }, (_, i) => `${i} ${'x'.repeat(1_000)}`);
		for (const text of texts) await streams.send([id], event(text));
		await vi.waitFor(() => expect(cutOff).toEqual([id]), 3_000);
		await expect(body.getReader().read()).rejects.toThrow('does not read');
		await vi.waitFor(async () => expect(await objectOf(id).has(id)).toBe(false));
		const back = await takeOver(id);
		expect(await back.messages(texts.length)).toEqual(texts);
		await objectOf(id).end(id);
	});
});

describe('a session that comes back for what the log no longer has', () => {
	it('gets what is left, and that is reported', async () => {
		const id = crypto.randomUUID();
		const gaps: string[] = [];
		const streams = new DurableObjectStreamSessionManager('SHORT_LOG', {
			onGap: (session) => void gaps.push(session),
		});
		const first = unread(streams, id);
		await first.started;
		await first.body.cancel();
		await vi.waitFor(async () => expect(await streams.has(id)).toBe(false));
		for (const text of ['a', 'b', 'c', 'd', 'e']) await streams.send([id], event(text));
		expect(gaps).toEqual([]);
		const second = unread(streams, id);
		await second.started;
		expect(await new EventStream(second.body).messages(3)).toEqual(['c', 'd', 'e']);
		expect(gaps).toEqual([id]);
		await streams.delete(id);
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

	it('is a request of the server: it is neither sent nor kept', async () => {
		const id = crypto.randomUUID();
		const manager = new DurableObjectStreamSessionManager();
		const ask = { jsonrpc: '2.0', id: 1, method: 'elicitation/create', params: {} };
		const events = (await object().stats()).log?.events;
		const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
		expect(
			await codeOf(() => manager.send([id], `event: message\ndata: ${JSON.stringify(ask)}\n\n`)),
		).toBe('SERVER_REQUEST_REFUSED');
		expect(logged.mock.calls).toMatchObject([[{ code: 'SERVER_REQUEST_REFUSED' }]]);
		logged.mockRestore();
		expect((await object().stats()).log?.events).toBe(events);
		const result = { jsonrpc: '2.0', id: 1, result: { text: '"method"' } };
		await manager.send([id], `event: message\ndata: ${JSON.stringify(result)}\n\n`);
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
		['a pause of 0', { keepAlive: 0 }],
		['a pause of 1.5', { keepAlive: 1.5 }],
		['a pause that is no number', { keepAlive: '25s' }],
		['a time to read of 0', { readTimeout: 0 }],
		['a bound of 1.5 bytes', { maxQueuedBytes: 1.5 }],
		['a name that there is not', { keepalive: 1 }],
		['info without anything', { info: {} }],
		['info without touch', { info: { touchIntervalMs: 20 } }],
		['info without touchIntervalMs', { info: { touch() {} } }],
		['info with a touchIntervalMs of 0', { info: { touch() {}, touchIntervalMs: 0 } }],
		['info with a touchIntervalMs of NaN', { info: { touch() {}, touchIntervalMs: Number.NaN } }],
		['info with a touchIntervalMs of "20"', { info: { touch() {}, touchIntervalMs: '20' } }],
	])('is an option like %s', async (_, options) => {
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
			return {
				has: fail,
				detach: fail,
				relay: fail,
				registerHome: fail,
				attach: fail,
				fetch: fail,
			};
		};
		const streams = new DurableObjectStreamSessionManager(namespaceOf(getByName));
		return { streams, calls: () => calls };
	}

	it('is asked again, with a new stub, where the platform says that it may be', async () => {
		const { streams, calls } = failing(1, { retryable: true });
		expect(await streams.has('nobody')).toBe(false);
		expect(calls()).toBe(2);
	});

	it('opens a stream after all', async () => {
		const { streams } = failing(1, { retryable: true });
		const { started } = unread(streams, 'later');
		await started;
		expect(await objectOf('later').has('later')).toBe(true);
		await objectOf('later').detach('later');
	});

	it('opens a stream although it was replaced between the call that made the ticket and the upgrade', async () => {
		const refused = vi.fn<() => Promise<Response>>(async () =>
			Response.json({ code: 'TICKET_REFUSED', message: 'nobody made it' }, { status: 403 }),
		);
		const namespace = namespaceOf((name) => {
			const stub = env.TMCP_DURABLE_OBJECT.getByName(name);
			if (refused.mock.calls.length > 0) return stub;
			return {
				attach: (...args: unknown[]) => Reflect.apply(stub.attach, stub, args),
				registerHome: (home: string) => stub.registerHome(home),
				fetch: refused,
			};
		});
		const id = crypto.randomUUID();
		const { started } = unread(new DurableObjectStreamSessionManager(namespace), id);
		await started;
		expect(refused).toHaveBeenCalledTimes(1);
		expect(await objectOf(id).has(id)).toBe(true);
		await objectOf(id).detach(id);
	});

	it.each([{}, { retryable: true, overloaded: true }])(
		'is not asked again where the error is %j',
		async (flags) => {
			const { streams, calls } = failing(1, flags);
			expect(await codeOf(() => streams.has('nobody'))).toBe('OBJECT_FAILED');
			expect(calls()).toBe(1);
		},
	);

	it('is told to whoever sends, after two tries', async () => {
		const { streams, calls } = failing(9, { retryable: true });
		expect(await codeOf(() => streams.send(undefined, event('x')))).toBe('OBJECT_FAILED');
		// Where the first home fails, the others are asked all the same.
		expect(calls()).toBe(2 * DEFAULT_HOMES);
	});
});
