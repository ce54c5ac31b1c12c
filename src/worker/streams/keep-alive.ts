import * as v from 'valibot';
import {
	functionSchema,
	MAX_TIMER_MS,
	parseOptions,
	PositiveIntegerSchema,
	TimerSchema,
} from '../../wire/options.ts';
import { eventStreamOf } from '../content.ts';
import { boundNow, ClientQueue, DEFAULT_READ_TIMEOUT_MS } from './client-queue.ts';
import { report } from '../request/report.ts';

/** Below the 30 seconds after which the strictest of common proxies close an idle response. */
export const DEFAULT_KEEP_ALIVE_MS = 25_000;

/** How much may wait for the client of a listen stream, in bytes: the default size of an object's log. */
const DEFAULT_MAX_QUEUED_BYTES = 16 * 1024 * 1024;

/** Pause between two checks whether the client of a listen stream has read what waits for it, in milliseconds, at most. */
const READ_CHECK_MS = 1_000;

/** The options of {@link withKeepAlive}, for a schema of which they are a part. */
export const keepAliveEntries = {
	keepAlive: v.optional(TimerSchema, DEFAULT_KEEP_ALIVE_MS),
	maxQueuedBytes: v.optional(PositiveIntegerSchema, DEFAULT_MAX_QUEUED_BYTES),
	readTimeout: v.optional(PositiveIntegerSchema, DEFAULT_READ_TIMEOUT_MS),
	onCutOff: v.optional(functionSchema<() => void>(), () => () => {}),
};

const OptionsSchema = v.strictObject(keepAliveEntries);

type ParsedOptions = v.InferOutput<typeof OptionsSchema>;

/** Options of {@link withKeepAlive}. */
export interface KeepAliveOptions {
	/** How long a stream may be idle, in milliseconds (default 25,000). */
	keepAlive?: number;
	/**
	 * How much may wait for the client of a `subscriptions/listen` stream that does not read, in bytes (default 16 MiB; each
	 * message counts for 1 KiB beside its text). The message that comes after that ends the stream with an error. While more
	 * than 32 MiB wait for all clients of an instance, the limit is 64 KiB for each. Other streams are never cut off.
	 */
	maxQueuedBytes?: number;
	/**
	 * How long the client of a `subscriptions/listen` stream may read nothing at all while something waits for it, in
	 * milliseconds (default 120,000). Then its stream ends with an error.
	 */
	readTimeout?: number;
	/** Called when a stream was cut off in one of these ways (default: nothing). */
	onCutOff?: () => void;
}

/** A comment, which clients of server-sent events ignore. */
export const KEEP_ALIVE = new TextEncoder().encode(': keep-alive\n\n');

const LINE_FEED = 10;

/** How much of a stream is searched for its first event, in bytes. */
const MAX_BEGINNING = 4_096;

/** The first message on a `subscriptions/listen` stream. */
const ACKNOWLEDGEMENT = '"notifications/subscriptions/acknowledged"';

/**
 * Adds a comment to an event stream whenever it was idle for a while, so that no proxy closes it and a client that vanished
 * is noticed, at the second comment at the latest. It also cuts off the client of a `subscriptions/listen` stream that does
 * not read. Listen streams need it, because tmcp gives a subscription manager no way to do either. A response that is not
 * an event stream is returned as it is. A {@link SessionGateway} does all this by itself; to wrap its responses once more
 * does no harm: a stream whose comments come in time gets no others.
 *
 * ```ts
 * const response = await transport.respond(request);
 * return response ? withKeepAlive(response) : new Response('Not found', { status: 404 });
 * ```
 *
 * It returns a new response; `transport.closeSubscription()` takes the original one.
 *
 * @throws `INVALID_ARGUMENT`
 */
export function withKeepAlive(response: Response, options?: KeepAliveOptions): Response {
	return keptAlive(response, parseOptions(OptionsSchema, options, 'withKeepAlive'));
}

/** {@link withKeepAlive} with options that are known to be valid. */
export function keptAlive(response: Response, options: ParsedOptions): Response {
	const body = eventStreamOf(response);
	if (!body) return response;
	const commented = new CommentedStream(body, options);
	return new Response(new ReadableStream(commented, { highWaterMark: 0 }), response);
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

/**
 * The chunks of a stream, with a comment whenever there was none for a while.
 *
 * A chunk is read only when the client wants one. The chunks that were not read then count as unread in the original
 * stream, whose session gets them again if the client goes away. The events of a `subscriptions/listen` stream are never
 * sent again, and tmcp puts any number of them on it. So, once its first event shows what it is, all of it is read as it
 * comes, to know how much waits.
 */
class CommentedStream implements UnderlyingSource<Uint8Array> {
	#stream: ReadableStream<Uint8Array>;
	#options: ParsedOptions;
	/** The reader of the read that is under way. */
	#reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
	/** A reader whose read was given up, because the client got a comment instead of a chunk. */
	#withdrawn: ReadableStreamDefaultReader<Uint8Array> | undefined;
	/** What waits for the client of a listen stream; empty for others, of which nothing is read ahead. */
	#queue = new ClientQueue();
	/** Checks what the client has read, while something waits for it: no event tells that. */
	#readCheck: ReturnType<typeof setInterval> | undefined;
	/** When the client last read, or when something began to wait for it. */
	#readAt = 0;
	/** The text up to the end of the first event, which shows what kind of stream it is; `undefined` after that. */
	#beginning: string | undefined = '';
	#isListen = false;
	#timer: ReturnType<typeof setInterval> | undefined;
	/** Whether the last thing that the client was given is a comment of ours. */
	#hasCommented = false;
	/** A comment inside an event would break it. */
	#isBetweenEvents = true;
	#lastByte: number | undefined;
	/** There is nothing more to read. */
	#hasEnded = false;

	constructor(stream: ReadableStream<Uint8Array>, options: ParsedOptions) {
		this.#stream = stream;
		this.#options = options;
	}

	start(controller: Controller): void {
		this.#restartTimer(controller, this.#options.keepAlive);
	}

	/** The client wants more than it was given. */
	async pull(controller: Controller): Promise<void> {
		if (!this.#isListen) await this.#step(controller);
		else if (this.#waiting(controller) === 0) this.#onRead(controller);
	}

	cancel(reason: unknown): Promise<void> {
		clearInterval(this.#timer);
		this.#drop();
		return (this.#reader ?? this.#stream).cancel(reason);
	}

	async #readOn(controller: Controller): Promise<void> {
		while (await this.#step(controller));
	}

	/** @returns whether there may be more */
	async #step(controller: Controller): Promise<boolean> {
		const reader = this.#stream.getReader();
		this.#reader = reader;
		try {
			const { done, value } = await reader.read();
			this.#release(reader);
			if (!done) return this.#pass(value, controller);
			this.#hasEnded = true;
			if (this.#waiting(controller) === 0) this.#onRead(controller);
		} catch (error) {
			if (this.#withdrawn === reader) return true;
			controller.error(error);
			this.#drop();
		}
		clearInterval(this.#timer);
		return false;
	}

	#release(reader: ReadableStreamDefaultReader<Uint8Array>): void {
		this.#reader = undefined;
		reader.releaseLock();
	}

	#pass(chunk: Uint8Array, controller: Controller): boolean {
		if (this.#waiting(controller) >= boundNow(this.#options.maxQueuedBytes)) {
			this.#cutOff(controller);
			return false;
		}
		const wasListen = this.#isListen;
		if (chunk.byteLength > 0) this.#look(chunk);
		if (this.#isListen && !wasListen) void this.#readOn(controller);
		this.#give(chunk, controller);
		// The stream has comments of its own, and they come before ours would: ours wait until one is missing.
		const keepsItself = isKeepAlive(chunk) && !this.#hasCommented;
		this.#hasCommented = false;
		const { keepAlive } = this.#options;
		this.#restartTimer(controller, keepsItself ? Math.min(2 * keepAlive, MAX_TIMER_MS) : keepAlive);
		return true;
	}

	#give(chunk: Uint8Array, controller: Controller): void {
		controller.enqueue(chunk);
		if (!this.#isListen) return;
		this.#queue.add(chunk.byteLength, undefined);
		if (this.#waiting(controller) > 0) this.#checkReads(controller);
	}

	/** How much waits for the client, in bytes. */
	#waiting({ desiredSize }: Controller): number {
		if (this.#queue.keep(-(desiredSize ?? 0))) this.#readAt = Date.now();
		return this.#queue.bytes;
	}

	/**
	 * The client has read all. Only now is the response of a stream that has ended closed: a closed one tells no more what
	 * was read of it, and cannot be cut off.
	 */
	#onRead(controller: Controller): void {
		this.#drop();
		if (this.#hasEnded) controller.close();
	}

	/** From now on until nothing waits, also where the stream has ended. */
	#checkReads(controller: Controller): void {
		if (this.#readCheck !== undefined) return;
		const { readTimeout } = this.#options;
		this.#readAt = Date.now();
		this.#readCheck = setInterval(
			() => {
				if (this.#waiting(controller) === 0) this.#onRead(controller);
				else if (Date.now() >= this.#readAt + readTimeout) this.#cutOff(controller);
			},
			Math.min(READ_CHECK_MS, readTimeout),
		);
	}

	#cutOff(controller: Controller): void {
		const error = new Error('The client does not read its stream.');
		controller.error(error);
		void report(this.#options.onCutOff, undefined);
		this.cancel(error).catch(() => {});
	}

	/** Nothing waits for the client any more. */
	#drop(): void {
		clearInterval(this.#readCheck);
		this.#readCheck = undefined;
		this.#queue.drop();
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

	#restartTimer(controller: Controller, pauseMs: number): void {
		clearInterval(this.#timer);
		this.#timer = setInterval(() => this.#comment(controller), pauseMs);
	}

	/** Not where something waits for the client: that keeps the connection busy. */
	#comment(controller: Controller): void {
		if (!this.#isBetweenEvents || this.#waiting(controller) > 0) return;
		if (!this.#isListen) {
			// No read is under way: the client does not want a chunk, or is being given one.
			if (!this.#reader) return;
			this.#withdrawn = this.#reader;
			this.#release(this.#reader);
		}
		this.#give(KEEP_ALIVE, controller);
		this.#hasCommented = true;
	}
}

function isKeepAlive(chunk: Uint8Array): boolean {
	return (
		chunk.byteLength === KEEP_ALIVE.byteLength && chunk.every((byte, at) => byte === KEEP_ALIVE[at])
	);
}
