import * as v from 'valibot';
import { parseOptions } from '../schemas.ts';
import { report } from './report.ts';

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
	onCutOff: v.optional(
		v.custom<() => void>((value) => typeof value === 'function', 'not a function'),
		() => () => {},
	),
});

/** Options of {@link withKeepAlive}. */
export interface KeepAliveOptions {
	/** How long a stream may be idle, in milliseconds (default 25,000). */
	keepAlive?: number;
	/**
	 * How much may wait for the client of a `subscriptions/listen` stream that does not read, in bytes (default 16 MiB). What
	 * comes on top of it ends the stream with an error.
	 */
	maxQueuedBytes?: number;
	/** Told when that happens (default: nothing). */
	onCutOff?: () => void;
}

/** A comment: a client of server-sent events ignores it. */
export const KEEP_ALIVE = new TextEncoder().encode(': keep-alive\n\n');

const LINE_FEED = 10;

/**
 * Put a comment on an event stream whenever it was idle for a while, so that no proxy cuts it, and so that a client that
 * vanished was noticed: by the second comment at the latest; and cut off a client that does not read. A
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
	// A session's stream has a bound of its own, and counts what its client has read: nothing is read ahead of it.
	const limit = headers.has('mcp-session-id') ? undefined : parsed.maxQueuedBytes;
	const strategy =
		limit === undefined
			? new CountQueuingStrategy({ highWaterMark: 1 })
			: // With one byte more: what is as much as the bound is read, too.
				new ByteLengthQueuingStrategy({ highWaterMark: limit + 1 });
	const source = new CommentedStream(body, strategy.highWaterMark, parsed);
	return new Response(new ReadableStream(source, strategy), response);
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

/** What a stream says, with a comment whenever it says nothing. */
class CommentedStream implements UnderlyingSource<Uint8Array> {
	#reader: ReadableStreamDefaultReader<Uint8Array>;
	/** What the controller wants while nothing is queued. */
	#capacity: number;
	#options: v.InferOutput<typeof OptionsSchema>;
	#stopTimer = () => {};
	/** A comment inside an event would break it. */
	#isBetweenEvents = true;
	#lastByte: number | undefined;

	constructor(
		stream: ReadableStream<Uint8Array>,
		capacity: number,
		options: v.InferOutput<typeof OptionsSchema>,
	) {
		this.#reader = stream.getReader();
		this.#capacity = capacity;
		this.#options = options;
	}

	start(controller: Controller): void {
		this.#restartTimer(controller);
	}

	async pull(controller: Controller): Promise<void> {
		try {
			const { done, value } = await this.#reader.read();
			if (done) {
				this.#stopTimer();
				controller.close();
			} else {
				await this.#pass(value, controller);
			}
		} catch (error) {
			this.#stopTimer();
			controller.error(error);
		}
	}

	cancel(reason: unknown): Promise<void> {
		this.#stopTimer();
		return this.#reader.cancel(reason);
	}

	async #pass(chunk: Uint8Array, controller: Controller): Promise<void> {
		const isFirst = this.#hasRead(controller);
		controller.enqueue(chunk);
		if (chunk.byteLength > 0) {
			const beforeLast = chunk.byteLength > 1 ? chunk.at(-2) : this.#lastByte;
			this.#lastByte = chunk.at(-1);
			this.#isBetweenEvents = beforeLast === LINE_FEED && this.#lastByte === LINE_FEED;
		}
		this.#restartTimer(controller);
		// However large it is, one alone is no backlog.
		if (isFirst || (controller.desiredSize ?? 0) > 0) return;
		void report(this.#options.onCutOff, undefined);
		const error = new Error('The client does not read its stream.');
		await this.#reader.cancel(error);
		throw error;
	}

	#restartTimer(controller: Controller): void {
		this.#stopTimer();
		const timer = setInterval(() => {
			// A client that does not read is not idle: what waits for it keeps its connection busy.
			if (this.#isBetweenEvents && this.#hasRead(controller)) controller.enqueue(KEEP_ALIVE);
		}, this.#options.keepAlive);
		this.#stopTimer = () => clearInterval(timer);
	}

	#hasRead({ desiredSize }: Controller): boolean {
		return desiredSize === this.#capacity;
	}
}
