/**
 * What this library tells of, for logs, metrics and traces: typed events on `node:diagnostics_channel`.
 *
 * @module diagnostics
 */

import { channelName, EVENT_NAMES, type EventName, type EventOf } from './diagnostics/events.ts';
import { nodeModule } from './diagnostics/node.ts';

export {
	type AnsweredEvent,
	type AttachedEvent,
	channelName,
	type DeliveredEvent,
	type ErrorEvent,
	EVENT_NAMES,
	type EventName,
	type EventOf,
	type GapEvent,
	type PausedEvent,
	type RefusalReason,
	type RefusedEvent,
	type ReplayedEvent,
	type RetryEvent,
	type SessionEvent,
	type StreamKind,
	type SupersededEvent,
	type WaitingEvent,
} from './diagnostics/events.ts';
export { readTrace, runInTrace, type TraceContext } from './diagnostics/trace.ts';

/**
 * Listen to events. Call it at module scope, once: each Worker instance, and each object, publishes to its own isolate.
 *
 * The listener runs in the request, or the call of the object, that the event belongs to, before that goes on. So it must be
 * quick, and not async; what takes time belongs into `waitUntil()` of `cloudflare:workers`. What it throws is logged.
 *
 * ```ts
 * subscribe(({ name, home, session }) => console.log(name, home, session), ['gap', 'error']);
 * ```
 *
 * It takes `nodejs_compat`. Without that nothing is published, and a warning is logged.
 *
 * @param names of the events (default: all)
 * @returns stops listening
 */
export function subscribe<Name extends EventName = EventName>(
	listener: (event: EventOf<Name>) => void,
	names?: readonly Name[],
): () => void {
	const module = nodeModule('node:diagnostics_channel');
	if (!module) console.warn('Nothing is published: node:diagnostics_channel takes nodejs_compat.');
	const all: readonly EventName[] = names ?? EVENT_NAMES;
	const channels = all.map((name) => module?.channel(channelName(name)));
	// Not the listener itself: one that throws would keep the event from those that come after it.
	const guarded = (event: unknown) => {
		try {
			Reflect.apply(listener, undefined, [event]);
		} catch (error) {
			console.error('A subscriber of diagnostics_channel threw', error);
		}
	};
	for (const channel of channels) channel?.subscribe(guarded);
	return () => {
		for (const channel of channels) channel?.unsubscribe(guarded);
	};
}
