import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { newEpoch, parseEventId } from '../../src/wire/event-id.ts';
import { eventId, formatEventId } from './arbitraries.ts';

it('an event id that was formatted is parsed as what it was', () => {
	fc.assert(
		fc.property(eventId, (id) => {
			expect(parseEventId(formatEventId(id))).toEqual(id);
		}),
	);
});

it('whatever is parsed is the one way to write that event id', () => {
	const almost = fc
		.tuple(eventId, fc.nat(), fc.constantFrom('0', '.', '-', ' ', '\n', 'A', '١', ''))
		.map(([id, at, added]) => {
			const text = formatEventId(id);
			const place = at % (text.length + 1);
			return text.slice(0, place) + added + text.slice(place + (added === '' ? 1 : 0));
		});
	fc.assert(
		fc.property(fc.oneof(fc.string({ unit: 'binary' }), almost), (text) => {
			const id = parseEventId(text);
			if (id) expect(formatEventId(id)).toBe(text);
		}),
		{ numRuns: 2_000 },
	);
});

it('a place that is too large to be counted exactly is not parsed', () => {
	fc.assert(
		fc.property(eventId, fc.bigInt({ min: 10n ** 15n, max: 10n ** 30n }), (id, seq) => {
			expect(parseEventId(`${id.shard}.${id.epoch}.${seq}`)).toBeUndefined();
		}),
	);
});

it('a new epoch stands in an event id', () => {
	for (let round = 0; round < 1_000; round++) {
		const id = { shard: 0, epoch: newEpoch(), seq: 1 };
		expect(parseEventId(formatEventId(id))).toEqual(id);
	}
});
