/** How often and how patiently something is tried. */
export interface RetryPolicy {
	/** Tries in all, the first one included. */
	attempts: number;
	/** The longest first pause, in milliseconds; each further one may be twice as long. */
	baseMs: number;
	/** The longest pause of all, in milliseconds. */
	maxMs: number;
	/** Whether trying again can help. */
	isRetryable(error: unknown): boolean;
}

/**
 * How long to wait before try number `retry` (1 for the first one after a failure), in milliseconds:
 * exponential, of which half is random, so that those who failed together do not come back together.
 */
export function pauseMs(policy: RetryPolicy, retry: number, random = Math.random()): number {
	const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** (retry - 1));
	return ceiling / 2 + (ceiling / 2) * random;
}

/** Run `work` until it succeeds, cannot be helped, or was tried often enough; then its last error is thrown. */
export async function withRetry<T>(policy: RetryPolicy, work: () => Promise<T>): Promise<T> {
	for (let tries = 1; ; tries++) {
		try {
			return await work();
		} catch (error) {
			if (tries >= policy.attempts || !policy.isRetryable(error)) throw error;
			await scheduler.wait(pauseMs(policy, tries));
		}
	}
}

/** Coming back to an object that went away: at once if it must, but not all at once, and with patience. */
const REATTACH = { firstMs: 500, maxMs: 30_000 };

/**
 * How long to wait before try number `tries` (from 1) to come back, in milliseconds. All of it is random, because those
 * who were cut off by one object were cut off together.
 */
export function reattachPauseMs(tries: number, random = Math.random()): number {
	return Math.min(REATTACH.maxMs, REATTACH.firstMs * 2 ** (tries - 1)) * random;
}
