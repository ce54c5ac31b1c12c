import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LogExtent, replayStart, type StoredPosition } from '../../src/object/log/replay.ts';
import { epoch, eventId, formatEventId, shard } from './arbitraries.ts';

/** A log, and a place in it, which may be cut off already. */
const logAndPlace = fc
	.record({ shard, epoch, head: fc.nat({ max: 50 }), floor: fc.nat(), place: fc.nat() })
	.map(({ floor, place, ...rest }) => {
		const log: LogExtent = { ...rest, floor: floor % (rest.head + 1) };
		return { log, place: place % (rest.head + 1) };
	});

/** What is stored of a session that is known, and of one that has had no stream yet. */
function storedIn({ head }: LogExtent) {
	return fc.tuple(fc.nat({ max: head }), fc.boolean()).map(([place, isNew]): StoredPosition => {
		return { after: place, needs: isNew ? 0 : place, since: 0 };
	});
}

/** An event id that names no place of the log. */
function foreignTo({ shard: own, epoch: ownEpoch, head }: LogExtent) {
	return fc.oneof(
		fc.constant('unknown'),
		fc
			.oneof(
				eventId.filter((id) => id.shard !== own || id.epoch !== ownEpoch),
				fc.nat({ max: head }).map((seq) => ({ shard: own, epoch: other(ownEpoch), seq })),
				fc.nat({ max: head }).map((seq) => ({ shard: own + 1, epoch: ownEpoch, seq })),
				fc
					.nat({ max: 1_000 })
					.map((more) => ({ shard: own, epoch: ownEpoch, seq: head + 1 + more })),
			)
			.map(formatEventId),
	);
}

function other(ownEpoch: string): string {
	return ownEpoch.startsWith('0') ? `1${ownEpoch.slice(1)}` : `0${ownEpoch.slice(1)}`;
}

describe('one who names a place of the log', () => {
	const known = logAndPlace.chain(({ log, place }) =>
		fc.record({
			log: fc.constant(log),
			place: fc.constant(place),
			stored: storedIn(log),
		}),
	);

	it('starts exactly there, whatever is stored, and has all exactly where nothing after it was cut', () => {
		fc.assert(
			fc.property(known, ({ log, place, stored }) => {
				expect(replayStart(log, formatEventId({ ...log, seq: place }), stored)).toEqual({
					after: place,
					recovered: place >= log.floor,
				});
			}),
		);
	});
});

describe('one who names what is no place of the log', () => {
	it('starts where it was served to, or at the beginning, and is told that something may be missing', () => {
		const stranger = logAndPlace.chain(({ log }) =>
			fc.record({ log: fc.constant(log), asked: foreignTo(log), stored: storedIn(log) }),
		);
		fc.assert(
			fc.property(stranger, ({ log, asked, stored }) => {
				const { after } = stored;
				expect(replayStart(log, asked, stored)).toEqual({ after, recovered: false });
			}),
		);
	});
});

describe('one who names nothing', () => {
	const silent = logAndPlace.chain(({ log }) =>
		fc.record({ log: fc.constant(log), stored: storedIn(log) }),
	);

	it('starts where it was served to, or at the beginning where it is new, and has all exactly where nothing that it needs was cut', () => {
		fc.assert(
			fc.property(silent, ({ log, stored }) => {
				expect(replayStart(log, undefined, stored)).toEqual({
					after: stored.after,
					recovered: stored.needs >= log.floor,
				});
			}),
		);
	});
});
