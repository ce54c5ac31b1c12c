import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Recent } from '../../src/object/recent.ts';
import { SentIds } from '../../src/object/log/sent-ids.ts';

beforeEach(() => {
	vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 });
});
afterEach(() => {
	vi.useRealTimers();
});

const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);

describe('what happened not long ago', () => {
	it('is remembered as long as was said, by its name', () => {
		const recent = new Recent<string>(100);
		recent.set('a', 'first');
		pass(50);
		recent.set('b', 'second');
		pass(49);
		expect([recent.get('a'), recent.get('b')]).toEqual(['first', 'second']);
		pass(1);
		expect([recent.get('a'), recent.get('b')]).toEqual([undefined, 'second']);
		pass(50);
		expect(recent.get('b')).toBeUndefined();
	});

	it('is what happened last under a name, and is remembered from then on', () => {
		const recent = new Recent<string>(100);
		recent.set('a', 'first');
		recent.set('b', 'other');
		pass(60);
		recent.set('a', 'second');
		pass(60);
		expect([recent.get('a'), recent.get('b')]).toEqual(['second', undefined]);
	});
});

describe('the ids of what was sent', () => {
	it('are those of this instance, for a minute', () => {
		const sent = new SentIds(() => []);
		expect([sent.has('a'), sent.has(undefined)]).toEqual([false, false]);
		sent.add('a');
		sent.add(undefined);
		pass(59_999);
		expect([sent.has('a'), sent.has('b'), sent.has(undefined)]).toEqual([true, false, false]);
		pass(1);
		expect(sent.has('a')).toBe(false);
	});

	it('are also those of an earlier instance, which are read once, when an id is asked for', () => {
		let reads = 0;
		const sent = new SentIds(() => {
			reads++;
			return ['c', 'a'];
		});
		expect(reads).toBe(0);
		expect([sent.has('a'), sent.has('b'), sent.has('c')]).toEqual([true, false, true]);
		expect(reads).toBe(1);
	});
});
