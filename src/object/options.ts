import * as v from 'valibot';
import { parseOptions } from '../wire/arguments.ts';
import type { HistoryBounds } from './log/history.ts';

/** Settings of a subclass: `export class MySyncLayer extends SyncLayer { static options = { … } }`. */
export interface SyncLayerOptions {
	/** How many `subscriptions/listen` streams the object takes (default 16,384: half of its sockets). */
	maxSubscriptions?: number;
	/**
	 * How much of what was sent is kept for those who come back for it; `false` keeps nothing, and costs nothing. What is
	 * over any of the bounds goes, oldest first; the newest event never goes.
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
	 * How long a session without a stream is known, in seconds (default 604,800: seven days, as long as
	 * `KVInfoSessionManager` remembers it): its place in the log, up to a fifth longer, and for a `SessionGateway`, to which
	 * each request of it is a sign of life, whose it is, up to a tenth longer.
	 */
	sessionTtl?: number;
}

const Bound = v.pipe(v.number(), v.integer(), v.minValue(1));

/** At most ten years: beyond the year 2189 the platform sets no alarm. */
const Seconds = v.pipe(Bound, v.maxValue(10 * 365 * 24 * 60 * 60));

const OptionsSchema = v.strictObject({
	maxSubscriptions: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 16_384),
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

/** The settings as the object uses them. */
export interface ParsedOptions {
	maxSubscriptions: number;
	sessionTtlMs: number;
	/** `undefined` where nothing is kept. */
	history: HistoryBounds | undefined;
}

/** @throws `INVALID_ARGUMENT` */
export function parseSyncLayerOptions(input: unknown): ParsedOptions {
	const { maxSubscriptions, sessionTtl, log } = parseOptions(OptionsSchema, input, 'SyncLayer');
	const sessionTtlMs = sessionTtl * 1000;
	if (log === false) return { maxSubscriptions, sessionTtlMs, history: undefined };
	const { maxCount, maxBytes, maxAge } = log;
	const history = { maxCount, maxBytes, maxAgeMs: maxAge * 1000, sessionTtlMs };
	return { maxSubscriptions, sessionTtlMs, history };
}
