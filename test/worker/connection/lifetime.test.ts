import { expect, it } from 'vitest';
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
} from '../../../src/index.ts';
import { lifetimeMs, retryMs } from '../../../src/worker/connection/lifetime.ts';
import { codeOf } from '../../support/codes.ts';

it('a life is between half of the longest and all of it, so that those who came together do not end together', () => {
	expect(lifetimeMs(1_000, 0)).toBe(1_000);
	expect(lifetimeMs(1_000, 1)).toBe(500);
	expect(lifetimeMs(Infinity)).toBe(Infinity);
	const lives = Array.from({ length: 1_000 }, () => lifetimeMs(1_000));
	expect(Math.min(...lives)).toBeGreaterThanOrEqual(500);
	expect(Math.max(...lives)).toBeLessThanOrEqual(1_000);
	// Of 1,000 that come together, no more than a few end in the same hundredth of the time in which they end.
	const perSlice = Map.groupBy(lives, (life) => Math.floor((life - 500) / 5));
	expect(Math.max(...[...perSlice.values()].map(({ length }) => length))).toBeLessThan(40);
});

it('clients are asked to come back after one to two seconds', () => {
	expect(retryMs(0)).toBe(1_000);
	expect(retryMs(1)).toBe(2_000);
});

it.each([0, -1, 1.5, 2 ** 31, Number.NaN, '1'])('%s is no longest life', async (maxLifetime) => {
	for (const manager of [DurableObjectStreamSessionManager, DurableObjectSubscriptionManager]) {
		const make = () => Reflect.construct(manager, [undefined, { maxLifetime }]);
		expect(await codeOf(make)).toBe('INVALID_ARGUMENT');
	}
});
