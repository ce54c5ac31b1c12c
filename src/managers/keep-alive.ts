import * as v from 'valibot';
import { parseOptions } from '../schemas.ts';

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

const OptionsSchema = v.object({ intervalMs: KeepAliveSchema });

/** A comment: a client of server-sent events ignores it. */
export const KEEP_ALIVE = new TextEncoder().encode(': keep-alive\n\n');

const LINE_FEED = 10;

/**
 * Put a comment on an event stream whenever it was idle for a while, so that no proxy cuts it, and so that a client that
 * vanished is noticed: by the second comment at the latest. A `subscriptions/listen` stream needs it, because tmcp gives a
 * subscription manager no way to write one. Any other response is returned as it is.
 *
 * ```ts
 * const response = await transport.respond(request);
 * return response ? withKeepAlive(response) : new Response('Not found', { status: 404 });
 * ```
 *
 * The response that comes back is a new one; `transport.closeSubscription()` takes the one that went in.
 *
 * @param intervalMs how long a stream may be idle, in milliseconds (default 25,000)
 * @throws `INVALID_ARGUMENT`
 */
export function withKeepAlive(response: Response, intervalMs = DEFAULT_KEEP_ALIVE_MS): Response {
	parseOptions(OptionsSchema, { intervalMs }, 'withKeepAlive');
	const isEventStream = response.headers.get('content-type')?.startsWith('text/event-stream');
	if (!response.body || !isEventStream) return response;
	return new Response(commented(response.body, intervalMs), response);
}

function commented(
	source: ReadableStream<Uint8Array>,
	intervalMs: number,
): ReadableStream<Uint8Array> {
	const reader = source.getReader();
	let timer: ReturnType<typeof setInterval>;
	/** A comment inside an event would break it. */
	let isBetweenEvents = true;
	let lastByte: number | undefined;
	const wait = (controller: ReadableStreamDefaultController<Uint8Array>) => {
		clearInterval(timer);
		timer = setInterval(() => {
			// A client that does not read is not idle: what waits for it keeps its connection busy.
			if (isBetweenEvents && (controller.desiredSize ?? 0) > 0) controller.enqueue(KEEP_ALIVE);
		}, intervalMs);
	};
	return new ReadableStream<Uint8Array>({
		start: wait,
		async pull(controller) {
			try {
				const { done, value } = await reader.read();
				if (!done) {
					if (value.byteLength > 0) {
						const beforeLast = value.byteLength > 1 ? value.at(-2) : lastByte;
						lastByte = value.at(-1);
						isBetweenEvents = beforeLast === LINE_FEED && lastByte === LINE_FEED;
					}
					controller.enqueue(value);
					wait(controller);
					return;
				}
				clearInterval(timer);
				controller.close();
			} catch (error) {
				clearInterval(timer);
				controller.error(error);
			}
		},
		cancel(reason) {
			clearInterval(timer);
			return reader.cancel(reason);
		},
	});
}
