import { afterEach, describe, expect, it, vi } from 'vitest';
import { Arrivals } from '../../src/object/arrivals.ts';

/** As many timers as an isolate has at once, and more. */
const MANY = 10_001;

afterEach(() => {
	vi.useRealTimers();
	vi.restoreAllMocks();
});

describe('who waits', () => {
	it('is told when it has come, each once, and so are all others who wait for the same', async () => {
		const arrivals = new Arrivals(60_000);
		const waiting = [arrivals.wait('a'), arrivals.wait('a'), arrivals.wait('b')];
		arrivals.come('a');
		arrivals.come('nobody waits for this');
		arrivals.come('b');
		expect(await Promise.all(waiting)).toEqual([true, true, true]);
	});

	it('gives up after the stated time, whoever else waits for the same', async () => {
		vi.useFakeTimers();
		const arrivals = new Arrivals(50);
		const told: string[] = [];
		const wait = (key: string, name: string) =>
			arrivals.wait(key).then((hasCome) => void told.push(`${name} ${hasCome}`));
		void wait('a', 'first');
		await vi.advanceTimersByTimeAsync(25);
		void wait('a', 'second');
		void wait('b', 'third');
		await vi.advanceTimersByTimeAsync(24);
		expect(told).toEqual([]);
		await vi.advanceTimersByTimeAsync(1);
		expect(told).toEqual(['first false']);
		await vi.advanceTimersByTimeAsync(24);
		expect(told).toEqual(['first false']);
		await vi.advanceTimersByTimeAsync(1);
		expect(told).toEqual(['first false', 'second false', 'third false']);
		expect(vi.getTimerCount()).toBe(0);
	});

	it('has nothing that comes too late', async () => {
		const arrivals = new Arrivals(1);
		expect(await arrivals.wait('a')).toBe(false);
		arrivals.come('a');
		expect(await arrivals.wait('a')).toBe(false);
	});

	it(`shares one timer with all others: ${MANY} may wait`, async () => {
		const setTimer = vi.spyOn(globalThis, 'setTimeout');
		const clearTimer = vi.spyOn(globalThis, 'clearTimeout');
		const arrivals = new Arrivals(60_000);
		const waiting = Array.from({ length: MANY }, (_, index) => arrivals.wait(`${index}`));
		expect(setTimer).toHaveBeenCalledTimes(1);
		for (let index = 0; index < MANY; index++) arrivals.come(`${index}`);
		expect(new Set(await Promise.all(waiting))).toEqual(new Set([true]));
		expect(clearTimer).toHaveBeenCalledTimes(1);
	});
});
