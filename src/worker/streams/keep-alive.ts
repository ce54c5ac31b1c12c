import * as v from 'valibot';
import { functionSchema, parseOptions } from '../../wire/options.ts';
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

/** A number of bytes or milliseconds. */
export const PositiveIntegerSchema = v.pipe(v.number(), v.integer(), v.minValue(1));

/** How much may wait for the client of a listen stream, in bytes: as much as an object's log keeps by default. */
const DEFAULT_MAX_QUEUED_BYTES = 16 * 1024 * 1024;

/** The options of {@link withKeepAlive}, for a schema of which they are a part. */
export const keepAliveEntries = {
	keepAlive: v.optional(KeepAliveSchema, DEFAULT_KEEP_ALIVE_MS),
	maxQueuedBytes: v.optional(PositiveIntegerSchema, DEFAULT_MAX_QUEUED_BYTES),
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
	 * message counts for 1 KiB beside its text). What comes on top of it ends the stream with an error. No other stream is cut
	 * off.
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
 * is returned as it is. A {@link SessionGateway} does it by itself; to wrap its responses once more does no harm: a stream
 * whose comments come in time gets no others.
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
	return keptAlive(response, parseOptions(OptionsSchema, options, 'withKeepAlive'));
}

/** {@link withKeepAlive} with options that are known to be valid. */
export function keptAlive(response: Response, options: ParsedOptions): Response {
	const { body, headers } = response;
	if (!body || !headers.get('content-type')?.startsWith('text/event-stream')) return response;
	const commented = new CommentedStream(body, options);
	return new Response(new ReadableStream(commented, { highWaterMark: 0 }), response);
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

/**
 * What a stream says, with a comment whenever it says nothing.
 *
 * A chunk is read only when the client asks for one: what its stream was never asked for counts there as unread, so that
 * it is sent again where the client goes away. A `subscriptions/listen` stream cannot send again, and tmcp puts on it
 * whatever comes; so, once it has shown what it is, all of it is read at once, to see how much waits.
 */
class CommentedStream implements UnderlyingSource<Uint8Array> {
	#stream: ReadableStream<Uint8Array>;
	#options: ParsedOptions;
	/** Of the read that is under way. */
	#reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
	/** Whose read was given up, because the client got a comment instead. */
	#withdrawn: ReadableStreamDefaultReader<Uint8Array> | undefined;
	#queue = new ClientQueue();
	/** What came until the first event is complete, which shows what kind of a stream it is. */
	#beginning: string | undefined = '';
	#isListen = false;
	#timer: ReturnType<typeof setInterval> | undefined;
	/** Whether the last thing that the client was given is a comment of ours. */
	#hasCommented = false;
	/** A comment inside an event would break it. */
	#isBetweenEvents = true;
	#lastByte: number | undefined;

	constructor(stream: ReadableStream<Uint8Array>, options: ParsedOptions) {
		this.#stream = stream;
		this.#options = options;
	}

	start(controller: Controller): void {
		this.#restartTimer(controller, this.#options.keepAlive);
	}

	async pull(controller: Controller): Promise<void> {
		if (!this.#isListen) await this.#step(controller);
	}

	cancel(reason: unknown): Promise<void> {
		clearInterval(this.#timer);
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
			controller.close();
		} catch (error) {
			if (this.#withdrawn === reader) return true;
			controller.error(error);
		}
		clearInterval(this.#timer);
		return false;
	}

	#release(reader: ReadableStreamDefaultReader<Uint8Array>): void {
		this.#reader = undefined;
		reader.releaseLock();
	}

	#pass(chunk: Uint8Array, controller: Controller): boolean {
		if (this.#waiting(controller) >= this.#options.maxQueuedBytes) {
			const error = new Error('The client does not read its stream.');
			controller.error(error);
			void report(this.#options.onCutOff, undefined);
			this.cancel(error).catch(() => {});
			return false;
		}
		const wasListen = this.#isListen;
		if (chunk.byteLength > 0) this.#look(chunk);
		if (this.#isListen && !wasListen) void this.#readOn(controller);
		controller.enqueue(chunk);
		this.#queue.add(chunk.byteLength, undefined);
		// The stream has comments of its own, and they come before ours would: ours wait until one is missing.
		const keepsItself = isKeepAlive(chunk) && !this.#hasCommented;
		this.#hasCommented = false;
		const { keepAlive } = this.#options;
		this.#restartTimer(controller, keepsItself ? Math.min(2 * keepAlive, MAX_TIMER_MS) : keepAlive);
		return true;
	}

	/** How much waits for the client, in bytes. */
	#waiting({ desiredSize }: Controller): number {
		this.#queue.keep(-(desiredSize ?? 0));
		return this.#queue.bytes;
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

	/** A client that does not read is not idle: what waits for it keeps its connection busy. */
	#comment(controller: Controller): void {
		if (!this.#isBetweenEvents || this.#waiting(controller) > 0) return;
		if (!this.#isListen) {
			// No read is under way because the client does not ask, or because this one is answered now.
			if (!this.#reader) return;
			this.#withdrawn = this.#reader;
			this.#release(this.#reader);
		}
		controller.enqueue(KEEP_ALIVE);
		this.#queue.add(KEEP_ALIVE.byteLength, undefined);
		this.#hasCommented = true;
	}
}

function isKeepAlive(chunk: Uint8Array): boolean {
	return (
		chunk.byteLength === KEEP_ALIVE.byteLength && chunk.every((byte, at) => byte === KEEP_ALIVE[at])
	);
}
