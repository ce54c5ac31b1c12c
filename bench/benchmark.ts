import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import type { Clock } from './driver.ts';
import { isFor, rowOf, type RowName } from './rows.ts';
import {
	measureLog,
	measureStreams,
	measureWakes,
	type Sample,
	type Sizes,
	withDriver,
} from './scenarios.ts';
import type { Subject } from './subjects.ts';
import { assertEnoughFiles } from './workerd.ts';

export interface Plan {
	n: readonly number[];
	samples: number;
	subjects: readonly Subject[];
	rows: readonly RowName[];
	sizes: Sizes;
	clock: Clock;
}

/** What was measured of a row: `n` is `undefined` where it has nothing to do with how many streams a run has. */
export interface Measured {
	row: RowName;
	n: number | undefined;
	/** One value for each process. */
	values: Partial<Record<Subject, number[]>>;
}

/**
 * Measure all that a plan names, in the order of the table. Subjects take turns within each sample, so that a machine that
 * gets slower does so for all of them.
 * @param onStep told of each process before it starts
 */
export async function benchmark(plan: Plan, onStep: (what: string) => void): Promise<Measured[]> {
	await assertEnoughFiles();
	const folder = await mkdtemp(join(tmpdir(), 'bench-workers-'));
	try {
		const bundles = new Map<Subject, string>();
		for (const subject of plan.subjects) bundles.set(subject, await bundle(subject, folder));
		return [
			...(await streams(plan, bundles, onStep)),
			...(await logs(plan, bundles, onStep)),
			...(await wakes(plan, bundles, onStep)),
		];
	} finally {
		await rm(folder, { recursive: true, force: true, maxRetries: 3 });
	}
}

type Bundles = ReadonlyMap<Subject, string>;
type OnStep = (what: string) => void;

async function streams(plan: Plan, bundles: Bundles, onStep: OnStep): Promise<Measured[]> {
	const rows = plan.rows.filter((row) => rowOf(row).scenario === 'streams');
	if (rows.length === 0) return [];
	const measured: Measured[] = [];
	for (const n of plan.n) {
		const samples: [Subject, Sample][] = [];
		for (let sample = 1; sample <= plan.samples; sample++) {
			for (const [subject, file] of bundles) {
				onStep(`${n} streams, ${subject}, ${sample} of ${plan.samples}`);
				const taken = await withDriver(file, { clock: plan.clock }, (driver) =>
					measureStreams(driver, n, rows, plan.sizes),
				);
				samples.push([subject, taken]);
			}
		}
		measured.push(...gather(rows, n, samples));
	}
	return measured;
}

async function logs(plan: Plan, bundles: Bundles, onStep: OnStep): Promise<Measured[]> {
	const rows = plan.rows.filter((row) => rowOf(row).scenario === 'log');
	const samples: [Subject, Sample][] = [];
	for (let sample = 1; sample <= plan.samples; sample++) {
		for (const [subject, file] of bundles) {
			if (!rows.some((row) => isFor(row, subject))) continue;
			onStep(`the log, ${subject}, ${sample} of ${plan.samples}`);
			samples.push([subject, await measureLog(file, subject, rows, plan.sizes, plan.clock)]);
		}
	}
	return gather(rows, undefined, samples);
}

async function wakes(plan: Plan, bundles: Bundles, onStep: OnStep): Promise<Measured[]> {
	const measured: Measured[] = [];
	for (const row of ['wake-has', 'wake-one'] as const) {
		if (!plan.rows.includes(row)) continue;
		const samples: [Subject, Sample][] = [];
		for (let sample = 1; sample <= plan.samples; sample++) {
			onStep(`${rowOf(row).title}, ${sample} of ${plan.samples}`);
			const woken = await measureWakes(bundles, row, plan.sizes, plan.clock);
			for (const [subject, ms] of woken) samples.push([subject, { [row]: ms }]);
		}
		measured.push(...gather([row], plan.sizes.sleepers, samples));
	}
	return measured;
}

function gather(
	rows: readonly RowName[],
	n: number | undefined,
	samples: readonly [Subject, Sample][],
): Measured[] {
	return rows.map((row) => {
		const values: Measured['values'] = {};
		for (const [subject, sample] of samples) {
			const value = sample[row];
			if (value !== undefined) (values[subject] ??= []).push(value);
		}
		return { row, n, values };
	});
}
