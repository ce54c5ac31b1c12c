import { byteLength } from '../wire/limits.ts';
import { channelName, type EventName, type EventOf } from './events.ts';
import { nodeModule } from './node.ts';
import { currentTrace } from './trace.ts';

type WithoutSome<Event, Keys extends PropertyKey> = Event extends unknown
	? Omit<Event, Keys>
	: never;

/** The properties of an event that its publisher gives. `session` is the id; listeners get a hash of it. */
type EventInput<Name extends EventName> = WithoutSome<
	EventOf<Name>,
	'name' | 'at' | 'trace' | 'home' | 'session'
> & { home?: string | undefined; session?: string | undefined };

/**
 * Check `hasSubscribers` before making an event. Without listeners this check is all that an event costs.
 *
 * ```ts
 * if (gap.hasSubscribers) gap.publish({ side: 'object', session: sessionId, stream: 'session' });
 * ```
 */
class EventChannel<Name extends EventName> {
	#name: Name;
	#channel: ReturnType<typeof import('node:diagnostics_channel').channel> | undefined;

	constructor(name: Name) {
		this.#name = name;
		this.#channel = nodeModule('node:diagnostics_channel')?.channel(channelName(name));
	}

	get hasSubscribers(): boolean {
		const has: unknown = this.#channel?.hasSubscribers;
		// Before the compatibility date 2026-05-19 it is a method (`diagnostics_channel_has_subscribers_getter`).
		return has === true || (typeof has === 'function' && has.call(this.#channel) === true);
	}

	publish({ home, session, ...event }: EventInput<Name>): void {
		try {
			this.#channel?.publish({
				name: this.#name,
				at: Date.now(),
				home,
				session: session === undefined ? undefined : shortHash(session),
				trace: currentTrace(),
				...event,
			});
		} catch (error) {
			// In workerd, unlike Node.js, what a subscriber throws comes out here.
			console.error('A subscriber of diagnostics_channel threw', error);
		}
	}
}

export const attached = /* @__PURE__ */ new EventChannel('attached');
export const superseded = /* @__PURE__ */ new EventChannel('superseded');
export const delivered = /* @__PURE__ */ new EventChannel('delivered');
export const waiting = /* @__PURE__ */ new EventChannel('waiting');
export const replayed = /* @__PURE__ */ new EventChannel('replayed');
export const paused = /* @__PURE__ */ new EventChannel('paused');
export const gap = /* @__PURE__ */ new EventChannel('gap');
export const retry = /* @__PURE__ */ new EventChannel('retry');
export const answered = /* @__PURE__ */ new EventChannel('answered');
export const refused = /* @__PURE__ */ new EventChannel('refused');
export const failed = /* @__PURE__ */ new EventChannel('error');

const ALL = /* @__PURE__ */ [
	delivered,
	attached,
	refused,
	failed,
	answered,
	retry,
	gap,
	paused,
	replayed,
	waiting,
	superseded,
];

/** Whether anybody listens to any event: only then is it looked which trace a request belongs to. */
export function isObserved(): boolean {
	return ALL.some(({ hasSubscribers }) => hasSubscribers);
}

/** What was handed over, where somebody listens. */
export class Tally {
	messages = 0;
	bytes = 0;

	add(data: string): void {
		this.messages++;
		this.bytes += byteLength(data);
	}
}

/** As `shortHash` of `worker/hash.ts`, but at once: an event that came later would stand in the wrong place. */
function shortHash(sessionId: string): string | undefined {
	const crypto = nodeModule('node:crypto');
	return crypto?.createHash('sha256').update(sessionId).digest('base64url').slice(0, 8);
}
