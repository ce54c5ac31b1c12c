import type { Measured } from './benchmark.ts';
import type { RowName } from './rows.ts';
import { median } from './statistics.ts';
import type { Subject } from './subjects.ts';

/** What a row of a subject may cost at most, measured by another one in the same run. */
interface Goal {
	row: RowName;
	subject: Subject;
	/** The subject that it is measured by. */
	by: Subject;
	/** The row that it is measured by (default: the same). */
	byRow?: RowName;
	/** `undefined` where the ratio is told and nothing was promised. */
	atMost: number | undefined;
}

/** Two medians of the same thing differ by as much as this in one run. */
const LEVEL = 1.05;

const GOALS: readonly Goal[] = [
	{ row: 'attach', subject: 'ours', by: 'durable-floor', atMost: 1.25 },
	{ row: 'attach', subject: 'ours-log-off', by: 'bare-calls', atMost: 1.25 },
	{ row: 'attach', subject: 'ours', by: 'peer', atMost: undefined },
	{ row: 'memory', subject: 'ours', by: 'peer', atMost: undefined },
	{ row: 'broadcast', subject: 'ours', by: 'bare', atMost: 1.1 },
	{ row: 'broadcast', subject: 'ours-log-off', by: 'bare', atMost: 1.1 },
	{ row: 'broadcast', subject: 'ours', by: 'peer', atMost: LEVEL },
	{ row: 'one', subject: 'ours', by: 'durable-floor', atMost: 1.15 },
	{ row: 'one', subject: 'ours-log-off', by: 'bare', atMost: 1.25 },
	{ row: 'half', subject: 'ours', by: 'durable-floor', atMost: 1.15 },
	{ row: 'unknown', subject: 'ours', by: 'durable-floor', atMost: undefined },
	{ row: 'has', subject: 'ours', by: 'bare', atMost: 1.15 },
	{ row: 'delete', subject: 'ours', by: 'durable-floor', atMost: 1.25 },
	{ row: 'delete', subject: 'ours', by: 'peer', atMost: undefined },
	{ row: 'delete-empty-log', subject: 'ours', by: 'durable-floor', atMost: 1.25 },
	{
		row: 'delete-full-log',
		subject: 'ours',
		by: 'ours',
		byRow: 'delete-empty-log',
		atMost: LEVEL,
	},
	{
		row: 'delete-full-log-40',
		subject: 'ours',
		by: 'ours',
		byRow: 'delete-empty-log',
		atMost: LEVEL,
	},
	{ row: 'get-full-log', subject: 'ours', by: 'ours', byRow: 'get-empty-log', atMost: undefined },
	{ row: 'wake-has', subject: 'ours', by: 'bare', atMost: undefined },
	{ row: 'wake-has', subject: 'ours', by: 'peer', atMost: undefined },
	{ row: 'wake-one', subject: 'ours', by: 'peer', atMost: undefined },
];

export interface Verdict {
	row: RowName;
	n: number | undefined;
	/** `ours / durable-floor`, for example. */
	name: string;
	ratio: number;
	atMost: number | undefined;
}

/** How far each goal was reached of which both sides were measured. */
export function judge(measured: readonly Measured[]): Verdict[] {
	return [...GOALS.flatMap((goal) => ratios(goal, measured)), ...linear(measured)];
}

export function isReached({ ratio, atMost }: Verdict): boolean {
	return atMost === undefined || ratio <= atMost;
}

function ratios(goal: Goal, measured: readonly Measured[]): Verdict[] {
	const { row, subject, by, byRow = row, atMost } = goal;
	return measured
		.filter((one) => one.row === row)
		.flatMap(({ n, values }) => {
			const base = measured.find((one) => one.row === byRow && one.n === n);
			const [value, floor] = [median(values[subject] ?? []), median(base?.values[by] ?? [])];
			if (value === undefined || floor === undefined) return [];
			const name = byRow === row ? `${subject} / ${by}` : `${row} / ${byRow}`;
			return [{ row, n, name, ratio: value / floor, atMost }];
		});
}

/** What a DELETE costs must not grow with the number of streams. */
function linear(measured: readonly Measured[]): Verdict[] {
	const each = measured.flatMap(({ row, n, values }) => {
		const ms = median(values.ours ?? []);
		return row === 'delete' && n !== undefined && ms !== undefined ? [{ n, ms: ms / n }] : [];
	});
	const [first, last] = [each.at(0), each.at(-1)];
	if (!first || !last || first.n >= last.n) return [];
	const name = `ours, each, / each of ${first.n}`;
	return [{ row: 'delete', n: last.n, name, ratio: last.ms / first.ms, atMost: 1.25 }];
}
