import * as v from 'valibot';
import { functionSchema, parseOptions } from '../../wire/arguments.ts';
import { ClientQueue } from './client-queue.ts';
import { report } from '../request/report.ts';

/** Below the 30 s after which the strictest of common proxies cut an idle response. */
export const DEFAULT_KEEP_ALIVE_MS = 25_000;

/** The longest timer that JavaScript has. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** A pause between two comments, in milliseconds. */
export const KeepAliveSchema = v.pipe(
	v.number(),
	v.integer(),
	v.minValue(1),
	v.maxValue(MAX_TIMER_MS),
);

/** How much may wait for a client that does not read, in bytes: as much as an object's log keeps by default. */
export const DEFAULT_MAX_QUEUED_BYTES = 16 * 1024 * 1024;

/** At least one byte. */
export const MaxQueuedBytesSchema = v.pipe(v.number(), v.integer(), v.minValue(1));

const OptionsSchema = v.strictObject({
	keepAlive: v.optional(KeepAliveSchema, DEFAULT_KEEP_ALIVE_MS),
	maxQueuedBytes: v.optional(MaxQueuedBytesSchema, DEFAULT_MAX_QUEUED_BYTES),
	onCutOff: v.optional(functionSchema<() => void>(), () => () => {}),
});

/** Options of {@link withKeepAlive}. */
export interface KeepAliveOptions {
	/** How long a stream may be idle, in milliseconds (default 25,000). */
	keepAlive?: number;
	/**
	 * How much may wait for the client of a `subscriptions/listen` stream that does not read, in bytes (default 16 MiB). What
	 * comes on top of it ends the stream with an error. No other stream is cut off.
	 */
	maxQueuedBytes?: number;
	/** Told when that happens (default: nothing). */
	onCutOff?: () => void;
}

/** A comment: a client of server-sent events ignores it. */
export const KEEP_ALIVE = new TextEncoder().encode(': keep-alive\n\n');

const LINE_FEED = 10;

/** How much of a stream is looked at for its first event, in bytes. */
const MAX_BEGINNING = 4_096;

/** The first message on a `subscriptions/listen` stream. */
const ACKNOWLEDGEMENT = '"notifications/subscriptions/acknowledged"';

/**
 * Put a comment on an event stream whenever it was idle for a while, so that no proxy cuts it, and so that a client that
 * vanished is noticed: by the second comment at the latest; and cut off a client that does not read. A
 * `subscriptions/listen` stream needs it, because tmcp gives a subscription manager no way to do either. Any other response
 * is returned as it is.
 *
 * ```ts
 * const response = await transport.respond(request);
 * return response ? withKeepAlive(response) : new Response('Not found', { status: 404 });
 * ```
 *
 * The response that comes back is a new one; `transport.closeSubscription()` takes the one that went in.
 *
 * @throws `INVALID_ARGUMENT`
 */
export function withKeepAlive(response: Response, options?: KeepAliveOptions): Response {
	const parsed = parseOptions(OptionsSchema, options, 'withKeepAlive');
	const { body, headers } = response;
	if (!body || !headers.get('content-type')?.startsWith('text/event-stream')) return response;
	return new Response(new ReadableStream(new CommentedStream(body, parsed)), response);
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

/**
 * What a stream says, with a comment whenever it says nothing. tmcp puts on a `subscriptions/listen` stream whatever comes,
 * read or not, so that one is read at once, to see how much waits; of any other no more is read than its client does.
 */
class CommentedStream implements UnderlyingSource<Uint8Array> {
	#reader: ReadableStreamDefaultReader<Uint8Array>;
	#options: v.InferOutput<typeof OptionsSchema>;
	#queue = new ClientQueue();
	/** What the controller wants while nothing is queued. */
	#capacity = 0;
	/** What came until the first event is complete, which shows what kind of a stream it is. */
	#beginning: string | undefined = '';
	#isListen = false;
	#stopTimer = () => {};
	/** A comment inside an event would break it. */
	#isBetweenEvents = true;
	#lastByte: number | undefined;

	constructor(stream: ReadableStream<Uint8Array>, options: v.InferOutput<typeof OptionsSchema>) {
		this.#reader = stream.getReader();
		this.#options = options;
	}

	start(controller: Controller): void {
		this.#capacity = controller.desiredSize ?? 0;
		this.#restartTimer(controller);
	}

	async pull(controller: Controller): Promise<void> {
		if (!this.#isListen) await this.#step(controller);
	}

	cancel(reason: unknown): Promise<void> {
		this.#stopTimer();
		return this.#reader.cancel(reason);
	}

	async #readOn(controller: Controller): Promise<void> {
		while (await this.#step(controller));
	}

	/** @returns whether there may be more */
	async #step(controller: Controller): Promise<boolean> {
		try {
			const { done, value } = await this.#reader.read();
			if (!done) return await this.#pass(value, controller);
			this.#stopTimer();
			controller.close();
		} catch (error) {
			this.#stopTimer();
			controller.error(error);
		}
		return false;
	}

	async #pass(chunk: Uint8Array, controller: Controller): Promise<boolean> {
		const wasListen = this.#isListen;
		if (chunk.byteLength > 0) this.#look(chunk);
		if (this.#isListen && !wasListen) void this.#readOn(controller);
		controller.enqueue(chunk);
		this.#restartTimer(controller);
		this.#count(chunk, controller);
		if (this.#queue.bytes - chunk.byteLength < this.#options.maxQueuedBytes) return true;
		const error = new Error('The client does not read its stream.');
		void report(this.#options.onCutOff, undefined);
		await this.#reader.cancel(error);
		throw error;
	}

	#count(chunk: Uint8Array, { desiredSize }: Controller): void {
		this.#queue.add(chunk.byteLength, undefined);
		this.#queue.keep(this.#capacity - (desiredSize ?? 0));
	}

	#look(chunk: Uint8Array): void {
		if (this.#beginning !== undefined) {
			this.#beginning += new TextDecoder().decode(chunk.subarray(0, MAX_BEGINNING));
			this.#isListen = this.#beginning.includes(ACKNOWLEDGEMENT);
			const isKnown = this.#isListen || /^data:.*\n\n/m.test(this.#beginning);
			if (isKnown || this.#beginning.length > MAX_BEGINNING) this.#beginning = undefined;
		}
		const beforeLast = chunk.byteLength > 1 ? chunk.at(-2) : this.#lastByte;
		this.#lastByte = chunk.at(-1);
		this.#isBetweenEvents = beforeLast === LINE_FEED && this.#lastByte === LINE_FEED;
	}

	#restartTimer(controller: Controller): void {
		this.#stopTimer();
		const timer = setInterval(() => {
			// A client that does not read is not idle: what waits for it keeps its connection busy.
			if (!this.#isBetweenEvents || (controller.desiredSize ?? 0) <= 0) return;
			controller.enqueue(KEEP_ALIVE);
			this.#queue.keep(0);
			this.#count(KEEP_ALIVE, controller);
		}, this.#options.keepAlive);
		this.#stopTimer = () => clearInterval(timer);
	}
}
