import * as v from 'valibot';
import { parseOptions } from '../wire/arguments.ts';
import type { RetentionBounds } from './log/retention.ts';
import type { Lifetimes } from './sessions/session-row.ts';

/** Settings of a subclass: `export class MySyncLayer extends SyncLayer { static override readonly options: SyncLayerOptions = { … } }`. */
export interface SyncLayerOptions {
	/** How many `subscriptions/listen` streams the object takes (default 16,384: half of its sockets). */
	maxSubscriptions?: number;
	/**
	 * How many resources one `subscriptions/listen` may name (default 1,000). However many they are, they are stored in one
	 * row, and all of them are together at most 1 MiB.
	 */
	maxResourcesPerSubscription?: number;
	/**
	 * How much of what was sent is kept for sessions that come back for it; `false` keeps nothing. What is over any of the
	 * bounds is cut, oldest first, but never the newest event.
	 */
	log?:
		| false
		| {
				/** Events (default 10,000). */
				maxCount?: number;
				/** UTF-8 bytes of payloads and addressees (default 16 MiB). */
				maxBytes?: number;
				/** Seconds since an event was sent (default 3,600), or up to a tenth more. */
				maxAge?: number;
		  };
	/**
	 * How long a session lives without a stream and without a request through a `SessionGateway`, in seconds (default
	 * 604,800: seven days, as long as `KVInfoSessionManager` keeps its information), or up to a tenth
	 * longer.
	 */
	sessionTtl?: number;
}

const Bound = v.pipe(v.number(), v.integer(), v.minValue(1));

/** At most ten years: beyond the year 2189 the platform sets no alarm. */
const Seconds = v.pipe(Bound, v.maxValue(10 * 365 * 24 * 60 * 60));

/** A largest number, which may be none. */
const Limit = v.pipe(v.number(), v.integer(), v.minValue(0));

const OptionsSchema = v.strictObject({
	maxSubscriptions: v.optional(Limit, 16_384),
	maxResourcesPerSubscription: v.optional(Limit, 1_000),
	log: v.optional(
		v.union([
			v.literal(false),
			v.strictObject({
				maxCount: v.optional(Bound, 10_000),
				maxBytes: v.optional(Bound, 16 * 1024 * 1024),
				maxAge: v.optional(Seconds, 3_600),
			}),
		]),
		{},
	),
	sessionTtl: v.optional(Seconds, 7 * 24 * 60 * 60),
});

/** An ended session is remembered at least this long, in milliseconds: longer than KV is stale and a connection away. */
const MIN_ENDED_TTL_MS = 10 * 60_000;

/** How much the object takes: what is over it is refused. */
export interface Limits {
	maxSubscriptions: number;
	maxResourcesPerSubscription: number;
}

/** The settings as the object uses them. */
export interface ParsedOptions {
	limits: Limits;
	lifetimes: Lifetimes;
	/** `undefined` where the log is off. */
	log: RetentionBounds | undefined;
}

/** @throws `INVALID_ARGUMENT` */
export function parseSyncLayerOptions(input: unknown): ParsedOptions {
	const { sessionTtl, log, ...limits } = parseOptions(OptionsSchema, input, 'SyncLayer');
	const maxAgeMs = log === false ? 0 : log.maxAge * 1000;
	const lifetimes = {
		sessionTtlMs: sessionTtl * 1000,
		unownedTtlMs: Math.max(sessionTtl * 1000, maxAgeMs),
		// Until the last event that was sent to it has been cut, which an idle object does a tenth of the age late.
		endedTtlMs: Math.max(MIN_ENDED_TTL_MS, 1.2 * maxAgeMs),
	};
	if (log === false) return { limits, lifetimes, log: undefined };
	const { maxCount, maxBytes } = log;
	return { limits, lifetimes, log: { maxCount, maxBytes, maxAgeMs } };
}
