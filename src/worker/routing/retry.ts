import * as channels from '../../diagnostics/channels.ts';
import { SessionManagerError } from '../../errors.ts';

/** How often and how patiently something is tried. */
export interface RetryPolicy {
	/** What is tried, and of which home, for whoever listens. */
	of: 'call' | 'kv';
	home?: string;
	/** Tries in all, the first one included. */
	attempts: number;
	/** The upper limit of the first pause, in milliseconds. It doubles with each further pause. */
	baseMs: number;
	/** The upper limit of all pauses, in milliseconds. */
	maxMs: number;
	/** Whether trying again can help. */
	isRetryable(error: unknown): boolean;
}

/**
 * How long to wait before retry number `retry` (from 1), in milliseconds: exponential backoff, half of it random, so that
 * callers which failed together do not retry together.
 */
export function pauseMs(policy: RetryPolicy, retry: number, random = Math.random()): number {
	const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** (retry - 1));
	return ceiling / 2 + (ceiling / 2) * random;
}

/**
 * Run `work` until it succeeds. It is given the number of the try, from 1.
 * @throws its last error, where that is not retryable or there were enough attempts
 */
export async function withRetry<T>(
	policy: RetryPolicy,
	work: (tries: number) => Promise<T>,
): Promise<T> {
	for (let tries = 1; ; tries++) {
		try {
			return await work(tries);
		} catch (error) {
			if (tries >= policy.attempts || !policy.isRetryable(error)) throw error;
			const pause = pauseMs(policy, tries);
			if (channels.retry.hasSubscribers) {
				const { of, home } = policy;
				const code = SessionManagerError.from(error)?.code;
				channels.retry.publish({ side: 'worker', home, of, tries, pauseMs: pause, code });
			}
			await scheduler.wait(pause);
		}
	}
}

/** The limits of the first and of all pauses before a connection comes back to an object, in milliseconds. */
const REATTACH = { firstMs: 500, maxMs: 30_000 };

/**
 * How long a connection waits before try number `tries` (from 1) to come back, in milliseconds. All of it is random, because
 * all connections of an object are cut off at the same time.
 */
export function reattachPauseMs(tries: number, random = Math.random()): number {
	return Math.min(REATTACH.maxMs, REATTACH.firstMs * 2 ** (tries - 1)) * random;
}
