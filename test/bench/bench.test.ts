import { expect, test } from 'vitest';
import { benchmark, type Plan } from '../../bench/benchmark.ts';
import { isFor, ROW_NAMES, rowOf } from '../../bench/rows.ts';
import { SUBJECTS } from '../../bench/subjects.ts';

const N = 50;

const PLAN: Omit<Plan, 'rows'> = {
	n: [N],
	samples: 1,
	clock: 'elapsed',
	subjects: SUBJECTS,
	sizes: {
		repeats: 2,
		manyRepeats: 5,
		events: 100,
		logStreams: 50,
		logRepeats: 5,
		sleepers: N,
	},
};

/** The rows that sleep for long do so at the same time. */
const PARTS = [['streams', 'log'], ['wake-has'], ['wake-one']].map((names) =>
	ROW_NAMES.filter((row) => names.includes(row) || names.includes(rowOf(row).scenario)),
);

// The harness itself throws where not everything was received, or more, and where an object did not hibernate.
test('the benchmark has a number for every row that a subject can do', async () => {
	const parts = await Promise.all(PARTS.map((rows) => benchmark({ ...PLAN, rows }, () => {})));
	const measured = parts.flat();
	expect(measured.map(({ row }) => row)).toEqual(ROW_NAMES);
	for (const { row, values } of measured) {
		const able = SUBJECTS.filter((subject) => isFor(row, subject));
		expect(Object.keys(values), row).toEqual(able);
		for (const subject of able)
			expect(values[subject], `${row} ${subject}`).toEqual([expect.any(Number)]);
	}
});
