import * as v from 'valibot';
import { parseOptions, PositiveIntegerSchema } from '../wire/options.ts';
import type { RetentionBounds } from './log/retention.ts';
import type { Lifetimes } from './sessions/session-row.ts';

/** Settings of a subclass: `export class MySyncLayer extends SyncLayer { static override readonly options: SyncLayerOptions = { … } }`. */
export interface SyncLayerOptions {
	/** How many `subscriptions/listen` streams the object takes (default 16,384: half of its sockets). */
	maxSubscriptions?: number;
	/**
	 * How many `subscriptions/listen` streams one owner may have (default 1,000: a fleet of agents that share an owner has
	 * them, and a client that opens and forgets leaves room for others). Counted where a `SessionGateway` names the owner.
	 */
	maxSubscriptionsPerOwner?: number;
	/**
	 * How many sessions the object knows (default 100,000: 30 MB of the 10 GB that it may store), those that have ended but
	 * are not forgotten included. A `SessionGateway` begins none beyond that. Sessions that no gateway began are counted when
	 * the object cleans up the next time.
	 */
	maxSessions?: number;
	/**
	 * How many sessions one owner may have that have neither ended nor expired (default 1,000: a client that ends none
	 * leaves each of them for `sessionTtl`; at most 5,000). Counted where a `SessionGateway` names the owner.
	 */
	maxSessionsPerOwner?: number;
	/**
	 * How long a session lives that never came back after its `initialize`, in seconds (default 600): what a flood of
	 * `initialize` leaves. Never longer than `sessionTtl`.
	 */
	unusedSessionTtl?: number;
	/**
	 * How many resources one `subscriptions/listen` may name (default 1,000). However many they are, they are stored in one
	 * row, and all of them are together at most 1 MiB.
	 */
	maxResourcesPerSubscription?: number;
	/**
	 * How many resources one session may be subscribed to with `resources/subscribe` (default 1,000), where a
	 * `DurableObjectInfoSessionManager` keeps its subscriptions. They are stored in the session's row.
	 */
	maxResourcesPerSession?: number;
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

/** At most ten years: beyond the year 2189 the platform sets no alarm. */
const Seconds = v.pipe(PositiveIntegerSchema, v.maxValue(10 * 365 * 24 * 60 * 60));

/** A largest number, which may be none. */
const Limit = v.pipe(v.number(), v.integer(), v.minValue(0));

const OptionsSchema = v.strictObject({
	maxSubscriptions: v.optional(Limit, 16_384),
	maxSubscriptionsPerOwner: v.optional(Limit, 1_000),
	maxResourcesPerSubscription: v.optional(Limit, 1_000),
	maxResourcesPerSession: v.optional(Limit, 1_000),
	maxSessions: v.optional(Limit, 100_000),
	// Their ids are in one row, which takes 2 MB.
	maxSessionsPerOwner: v.optional(v.pipe(Limit, v.maxValue(5_000)), 1_000),
	unusedSessionTtl: v.optional(Seconds, 600),
	log: v.optional(
		v.union([
			v.literal(false),
			v.strictObject({
				maxCount: v.optional(PositiveIntegerSchema, 10_000),
				maxBytes: v.optional(PositiveIntegerSchema, 16 * 1024 * 1024),
				maxAge: v.optional(Seconds, 3_600),
			}),
		]),
		{},
	),
	sessionTtl: v.optional(Seconds, 7 * 24 * 60 * 60),
});

/** An ended session is remembered at least this long, in milliseconds: longer than KV is stale and a connection away. */
const MIN_ENDED_TTL_MS = 10 * 60_000;

/** The settings as the object uses them. */
export interface ParsedOptions {
	/** The largest numbers that the object takes. It refuses what would exceed one of them. */
	limits: Required<Omit<SyncLayerOptions, 'log' | 'sessionTtl' | 'unusedSessionTtl'>>;
	lifetimes: Lifetimes;
	/** `undefined` where the log is off. */
	log: RetentionBounds | undefined;
}

/** @throws `INVALID_ARGUMENT` */
export function parseSyncLayerOptions(input: unknown): ParsedOptions {
	const { sessionTtl, unusedSessionTtl, log, ...limits } = parseOptions(
		OptionsSchema,
		input,
		'SyncLayer',
	);
	const maxAgeMs = log === false ? 0 : log.maxAge * 1000;
	const lifetimes = {
		sessionTtlMs: sessionTtl * 1000,
		unusedTtlMs: Math.min(unusedSessionTtl, sessionTtl) * 1000,
		unownedTtlMs: Math.max(sessionTtl * 1000, maxAgeMs),
		// Until the last event that was sent to it has been cut, which an idle object does a tenth of the age late.
		endedTtlMs: Math.max(MIN_ENDED_TTL_MS, 1.2 * maxAgeMs),
	};
	if (log === false) return { limits, lifetimes, log: undefined };
	const { maxCount, maxBytes } = log;
	return { limits, lifetimes, log: { maxCount, maxBytes, maxAgeMs } };
}
