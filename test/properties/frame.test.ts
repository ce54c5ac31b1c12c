import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeFrame, encodeFrame } from '../../src/wire/frames.ts';
import { seq } from './arbitraries.ts';

/** Line feeds, digits and nothing at all are what could be mistaken for a part of the frame. */
const data = fc.oneof(
	fc.string({ unit: 'binary' }),
	fc.string({ unit: fc.constantFrom('\n', '\r', '0', '7', ':', 'é', '🙂') }),
);

it('a frame that was encoded is decoded as what it was', () => {
	fc.assert(
		fc.property(fc.record({ seq: fc.option(seq, { nil: undefined }), data }), (frame) => {
			expect(decodeFrame(encodeFrame(frame))).toEqual(frame);
		}),
		{ numRuns: 1_000 },
	);
});

it('text is a frame with a place that can be counted and the rest as payload, or none', () => {
	fc.assert(
		fc.property(data, (text) => {
			const frame = decodeFrame(text);
			if (!frame) return;
			expect(text.endsWith(`\n${frame.data}`)).toBe(true);
			expect(frame.seq === undefined || Number.isSafeInteger(frame.seq)).toBe(true);
		}),
		{ numRuns: 1_000 },
	);
});

it('what is no text is no frame', () => {
	fc.assert(
		fc.property(
			fc.anything().filter((thing) => typeof thing !== 'string'),
			(thing) => {
				expect(decodeFrame(thing)).toBeUndefined();
			},
		),
	);
});
