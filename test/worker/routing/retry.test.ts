import { describe, expect, it } from 'vitest';
import {
	pauseMs,
	reattachPauseMs,
	type RetryPolicy,
	withRetry,
} from '../../../src/worker/routing/retry.ts';

const policy: RetryPolicy = {
	of: 'call',
	attempts: 4,
	baseMs: 2,
	maxMs: 5,
	isRetryable: (error) => error instanceof Error && error.message === 'again',
};

function failing(times: number, message = 'again') {
	let tries = 0;
	const work = async () => {
		tries++;
		if (tries <= times) throw new Error(message);
		return 'done';
	};
	return { work, tries: () => tries };
}

describe('withRetry', () => {
	it('tries until it succeeds', async () => {
		const { work, tries } = failing(3);
		expect(await withRetry(policy, work)).toBe('done');
		expect(tries()).toBe(4);
	});

	it('throws the last error after the last attempt', async () => {
		const { work, tries } = failing(9);
		await expect(withRetry(policy, work)).rejects.toThrow('again');
		expect(tries()).toBe(4);
	});

	it('throws at once what trying again cannot help', async () => {
		const { work, tries } = failing(9, 'never');
		await expect(withRetry(policy, work)).rejects.toThrow('never');
		expect(tries()).toBe(1);
	});
});

describe('pauseMs', () => {
	it('doubles up to the longest pause, and is half random', () => {
		const longest = [1, 2, 3, 4].map((retry) => pauseMs(policy, retry, 1));
		const shortest = [1, 2, 3, 4].map((retry) => pauseMs(policy, retry, 0));
		expect(longest).toEqual([2, 4, 5, 5]);
		expect(shortest).toEqual([1, 2, 2.5, 2.5]);
	});
});

describe('reattachPauseMs', () => {
	it('is all random, of up to half a second at first, and of up to 30 seconds later', () => {
		const longest = [1, 2, 3, 7, 20].map((tries) => reattachPauseMs(tries, 1));
		expect(longest).toEqual([500, 1_000, 2_000, 30_000, 30_000]);
		expect(reattachPauseMs(5, 0)).toBe(0);
		expect(new Set(Array.from({ length: 50 }, () => reattachPauseMs(1))).size).toBeGreaterThan(1);
	});
});
