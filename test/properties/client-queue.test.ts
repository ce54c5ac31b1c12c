import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { ClientQueue } from '../../src/managers/client-queue.ts';

interface Chunk {
	bytes: number;
	seq: number | undefined;
}

/** A chunk is put on the queue, a comment without a place or an event; or the client reads some. */
const steps = fc
	.array(
		fc.oneof(
			fc.record({ bytes: fc.nat({ max: 1_000 }), isEvent: fc.boolean() }),
			fc.record({ reads: fc.nat({ max: 5 }) }),
		),
		{ maxLength: 50 },
	)
	.map((all) => {
		let seq = 0;
		return all.map((step): Chunk | { reads: number } =>
			'reads' in step ? step : { bytes: step.bytes, seq: step.isEvent ? ++seq : undefined },
		);
	});

it('a queue weighs what waits, and knows the last event that was taken, or after which it began', () => {
	fc.assert(
		fc.property(steps, fc.constantFrom(0, undefined), (all, begin) => {
			const queue = new ClientQueue();
			if (begin !== undefined) queue.begin(begin);
			const waiting: Chunk[] = [];
			let taken: number | undefined = begin;
			for (const step of all) {
				if ('reads' in step) {
					for (const { seq } of waiting.splice(0, step.reads)) taken = seq ?? taken;
					queue.keep(waiting.length);
				} else {
					waiting.push(step);
					queue.add(step.bytes, step.seq);
				}
				expect(queue.bytes).toBe(waiting.reduce((sum, { bytes }) => sum + bytes, 0));
				expect(queue.takenSeq).toBe(taken);
			}
		}),
	);
});

it('a queue of which more is said to wait than was put on it keeps what it has', () => {
	fc.assert(
		fc.property(steps, fc.integer({ min: 1, max: 100 }), (all, more) => {
			const queue = new ClientQueue();
			const chunks = all.filter((step) => 'bytes' in step);
			for (const { bytes, seq } of chunks) queue.add(bytes, seq);
			const { bytes } = queue;
			queue.keep(chunks.length + more);
			expect([queue.bytes, queue.takenSeq]).toEqual([bytes, undefined]);
		}),
	);
});
