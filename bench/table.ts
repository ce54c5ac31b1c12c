import type { Measured } from './benchmark.ts';
import { isReached, type Verdict } from './goals.ts';
import { rowOf } from './rows.ts';
import { median } from './statistics.ts';
import type { Subject } from './subjects.ts';

/** The medians, a column for each subject. */
export function timesTable(measured: readonly Measured[], subjects: readonly Subject[]): string {
	const lines = measured.map(({ row, n, values }) => {
		const { title, unit } = rowOf(row);
		const cells = subjects.map((subject) => quantity(median(values[subject] ?? [])));
		return [title, number(n), unit, ...cells];
	});
	return table(['', 'N', 'unit', ...subjects], lines);
}

/** The ratios, and whether they are what they should be. */
export function goalsTable(verdicts: readonly Verdict[]): string {
	const lines = verdicts.map((verdict) => {
		const { row, n, name, ratio, atMost } = verdict;
		const goal = atMost === undefined ? ['–', '–'] : [`≤ ${atMost}`, mark(verdict)];
		return [rowOf(row).title, number(n), name, ratio.toFixed(2), ...goal];
	});
	return table(['', 'N', 'ratio of', 'ratio', 'goal', ''], lines);
}

function mark(verdict: Verdict): string {
	return isReached(verdict) ? 'ok' : 'missed';
}

/** Three digits, as far as they mean anything; a dash for what a subject cannot do. */
function quantity(value: number | undefined): string {
	if (value === undefined) return '–';
	if (value >= 100) return Math.round(value).toLocaleString('en');
	return value.toFixed(value >= 10 ? 1 : 2);
}

function number(n: number | undefined): string {
	return n === undefined ? '' : n.toLocaleString('en');
}

/** Markdown that lines up in a terminal, too: text to the left, the rest to the right. */
function table(head: readonly string[], lines: readonly string[][]): string {
	const widths = head.map((title, column) =>
		Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
	);
	const row = (cells: readonly string[]) => {
		const padded = cells.map((cell, column) => {
			const width = widths[column] ?? 0;
			return column === 0 ? cell.padEnd(width) : cell.padStart(width);
		});
		return `| ${padded.join(' | ')} |`;
	};
	const rule = widths.map((width, column) =>
		column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
	);
	return [row(head), row(rule), ...lines.map(row)].join('\n');
}
