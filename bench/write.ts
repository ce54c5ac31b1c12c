import { writeFile } from 'node:fs/promises';
import type { Measured } from './benchmark.ts';
import { chart } from './chart.ts';
import type { Clock } from './driver.ts';
import type { Verdict } from './goals.ts';
import type { Machine } from './machine.ts';

/** The N of the charts, where it was measured; else the largest one. */
const CHART_N = 5_000;

interface Results {
	machine: Machine;
	clock: Clock;
	samples: number;
	measured: readonly Measured[];
	verdicts: readonly Verdict[];
}

/** Write `results.json`, and a chart for each row. @returns the names of the files */
export async function write(results: Results): Promise<string[]> {
	const files = new Map([['results.json', `${JSON.stringify(results, undefined, '\t')}\n`]]);
	for (const one of results.measured) {
		const sameRow = results.measured.filter(({ row }) => row === one.row);
		const shown = sameRow.find(({ n }) => n === CHART_N) ?? sameRow.at(-1);
		const svg = one === shown ? chart(one) : undefined;
		if (svg) files.set(`${one.row}.svg`, svg);
	}
	for (const [name, text] of files) await writeFile(new URL(name, import.meta.url), text);
	return [...files.keys()];
}
