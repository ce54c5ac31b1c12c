import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { cut, type Kept, type RetentionBounds } from '../../src/object/log/retention.ts';

const NOW = 1_000_000;

const bounds: fc.Arbitrary<RetentionBounds> = fc.record({
	maxCount: fc.integer({ min: 1, max: 30 }),
	maxBytes: fc.integer({ min: 1, max: 2_000 }),
	maxAgeMs: fc.integer({ min: 1, max: 500 }),
});

const kept = fc.record({
	bytes: fc.nat({ max: 300 }),
	at: fc.integer({ min: NOW - 600, max: NOW + 50 }),
});

/** Oldest first. Where it is not sorted by time, the clock went back. */
const log: fc.Arbitrary<Kept[]> = fc
	.tuple(fc.nat({ max: 1_000 }), fc.array(kept, { maxLength: 40 }), fc.boolean())
	.map(([floor, events, isSorted]) => {
		const inOrder = isSorted ? events.toSorted((a, b) => a.at - b.at) : events;
		return inOrder.map((event, index) => ({ ...event, seq: floor + index + 1 }));
	});

function totalOf(events: readonly Kept[]) {
	return { count: events.length, bytes: events.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Which bounds these events are over, if they are what is kept. */
function excess(events: readonly Kept[], { maxCount, maxBytes, maxAgeMs }: RetentionBounds) {
	const { count, bytes } = totalOf(events);
	const [oldest] = events;
	return [
		...(count > maxCount ? ['count'] : []),
		...(bytes > maxBytes ? ['bytes'] : []),
		...(oldest && NOW - oldest.at >= maxAgeMs ? ['age'] : []),
	];
}

function afterCut(events: readonly Kept[], limits: RetentionBounds) {
	const going = cut(limits, totalOf(events), events, NOW);
	const gone = events.filter(({ seq }) => going !== undefined && seq <= going.upTo);
	return { going, gone, staying: events.slice(gone.length) };
}

it('what stays is within the bounds, or is the newest alone', () => {
	fc.assert(
		fc.property(log, bounds, (events, limits) => {
			const { staying } = afterCut(events, limits);
			expect(staying.length <= 1 ? [] : excess(staying, limits)).toEqual([]);
		}),
	);
});

it('the newest is never cut', () => {
	fc.assert(
		fc.property(log, bounds, (events, limits) => {
			expect(afterCut(events, limits).staying.at(-1)).toEqual(events.at(-1));
		}),
	);
});

it('no more is cut than has to be: with the last that went, it would be too much', () => {
	fc.assert(
		fc.property(log, bounds, (events, limits) => {
			const { gone } = afterCut(events, limits);
			if (gone.length === 0) return;
			expect(excess(events.slice(gone.length - 1), limits)).not.toEqual([]);
		}),
	);
});

it('what is said to go is what goes', () => {
	fc.assert(
		fc.property(log, bounds, (events, limits) => {
			const { going, gone } = afterCut(events, limits);
			const { bytes } = totalOf(gone);
			expect(going).toEqual(gone.length === 0 ? undefined : { upTo: gone.at(-1)?.seq, bytes });
		}),
	);
});

it('after a cut there is nothing left to cut', () => {
	fc.assert(
		fc.property(log, bounds, (events, limits) => {
			const { staying } = afterCut(events, limits);
			expect(afterCut(staying, limits).going).toBeUndefined();
		}),
	);
});

it('of the log no more is read than what goes, and one event', () => {
	fc.assert(
		fc.property(log, bounds, (events, limits) => {
			let read = 0;
			function* reading() {
				for (const event of events) {
					read++;
					yield event;
				}
			}
			cut(limits, totalOf(events), reading(), NOW);
			expect(read).toBeLessThanOrEqual(afterCut(events, limits).gone.length + 1);
		}),
	);
});
