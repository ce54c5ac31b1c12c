import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { ClientQueue } from '../../src/worker/streams/client-queue.ts';
import { EVENT_OVERHEAD_BYTES } from '../../src/wire/limits.ts';

interface Chunk {
	bytes: number;
	seq: number | undefined;
}

type Step = Chunk | { reads: number } | { movesTo: number };

/** A chunk is put on the queue, a comment without a place or an event; the client reads some; or a place is told. */
const steps = fc
	.array(
		fc.oneof(
			fc.record({ bytes: fc.nat({ max: 1_000 }), isEvent: fc.boolean() }),
			fc.record({ reads: fc.nat({ max: 5 }) }),
			fc.constant('place' as const),
		),
		{ maxLength: 50 },
	)
	.map((all) => {
		let seq = 0;
		return all.map((step): Step => {
			if (step === 'place') return { movesTo: ++seq };
			if ('reads' in step) return step;
			return { bytes: step.bytes, seq: step.isEvent ? ++seq : undefined };
		});
	});

it('a queue weighs what waits, and knows the last place that was taken, or after which it began', () => {
	fc.assert(
		fc.property(steps, fc.constantFrom(0, undefined), (all, begin) => {
			const queue = new ClientQueue();
			if (begin !== undefined) queue.begin(begin);
			const waiting: Chunk[] = [];
			let taken: number | undefined = begin;
			for (const step of all) {
				if ('reads' in step) {
					const read = waiting.splice(0, step.reads);
					for (const { seq } of read) taken = seq ?? taken;
					expect(queue.keep(waiting.length)).toBe(read.length > 0);
				} else if ('movesTo' in step) {
					const last = waiting.at(-1);
					if (last) last.seq = step.movesTo;
					else taken = step.movesTo;
					queue.moveTo(step.movesTo);
				} else {
					waiting.push({ ...step });
					queue.add(step.bytes, step.seq);
				}
				expect(queue.bytes).toBe(
					waiting.reduce((sum, { bytes }) => sum + bytes + EVENT_OVERHEAD_BYTES, 0),
				);
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
