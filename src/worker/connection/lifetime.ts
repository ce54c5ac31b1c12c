import * as v from 'valibot';
import { TimerSchema } from '../../wire/options.ts';

/**
 * How long a stream lives at most, in milliseconds: a day. Longer than somebody works, because not every client comes back
 * by itself from an end that it was told of: a `listen()` of the official SDK 2.4 does not, nor does a GET of the official
 * SDK before 1.23. Short enough that what was forgotten, or was opened by somebody who may no longer (a request is
 * authenticated once, when it comes), is gone the next day. To come back costs three requests and three rows, once a day.
 */
export const DEFAULT_MAX_LIFETIME_MS = 24 * 60 * 60 * 1000;

/** A pause before a client comes back from an end, in milliseconds; as much again is added at random. */
const MIN_RETRY_MS = 1_000;

export const LifetimeSchema = v.union([TimerSchema, v.literal(Infinity)]);

/**
 * How long one stream lives, in milliseconds: between half of the longest life and all of it, so that streams that were
 * opened together, after a restart, do not end together.
 */
export function lifetimeMs(maxLifetime: number, random = Math.random()): number {
	return maxLifetime * (1 - random / 2);
}

/** What the `retry` field of an ended stream says, in milliseconds. */
export function retryMs(random = Math.random()): number {
	return Math.round(MIN_RETRY_MS * (1 + random));
}
