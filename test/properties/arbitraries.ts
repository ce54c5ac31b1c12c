import * as fc from 'fast-check';
import type { EventId } from '../../src/wire/event-id.ts';

export const shard = fc.nat({ max: 99_999 });

export const epoch = fc.string({
	unit: fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyz'),
	minLength: 8,
	maxLength: 8,
});

/** As large as an event id has it. */
export const seq = fc.maxSafeNat().map((number) => number % 10 ** 15);

export const eventId: fc.Arbitrary<EventId> = fc.record({ shard, epoch, seq });

/** As it stands on the `id` line of an event. */
export const formatEventId = ({ shard: of, epoch: life, seq: at }: EventId) =>
	`${of}.${life}.${at}`;
