import { setTimeout as wait } from 'node:timers/promises';
import { type Clock, Driver, type DriverOptions } from './driver.ts';
import { isFor, type RowName } from './rows.ts';
import type { Subject } from './subjects.ts';

/** How much is done. A test of the harness does less. */
export interface Sizes {
	/** How often a thing that takes milliseconds is repeated in a process. */
	repeats: number;
	/** The same for what takes a fraction of one. */
	manyRepeats: number;
	/** Events in a full log. */
	events: number;
	/** Streams beside a full log. */
	logStreams: number;
	/** DELETEs and GETs that are timed, one after another. */
	logRepeats: number;
	/** Streams of an object that falls asleep. */
	sleepers: number;
}

export const FULL_SIZES: Sizes = {
	repeats: 10,
	manyRepeats: 500,
	events: 10_000,
	logStreams: 200,
	logRepeats: 50,
	sleepers: 5_000,
};

/** workerd lets an object hibernate when it was idle for 10 seconds. */
const SLEEP_MS = 11_500;

const WARM_UP_STREAMS = 100;
const WARM_UP_SENDS = 20;

/** What a sample measured; rows that were not asked for, or that a subject cannot do, are missing. */
export type Sample = Partial<Record<RowName, number>>;

/** Called before and after each part that is timed. */
export type Around = (row: RowName, work: () => Promise<number>) => Promise<number>;

/** Compiles what will be timed, and touches the disk. */
async function warmUp(driver: Driver): Promise<void> {
	await driver.do({ kind: 'attach', count: WARM_UP_STREAMS });
	await driver.do({ kind: 'send', to: 'all', times: WARM_UP_SENDS });
	await driver.do({ kind: 'send', to: 'one', times: WARM_UP_SENDS });
	await driver.do({ kind: 'has', times: WARM_UP_SENDS });
	await driver.do({ kind: 'delete', count: WARM_UP_STREAMS, atOnce: WARM_UP_STREAMS });
}

/** N streams in one object, from the first attach to the last DELETE. */
export async function measureStreams(
	driver: Driver,
	n: number,
	rows: readonly RowName[],
	sizes: Sizes,
	around: Around = (_row, work) => work(),
): Promise<Sample> {
	const sample: Sample = {};
	const measure = async (row: RowName, divisor: number, work: () => Promise<number>) => {
		if (rows.includes(row)) sample[row] = (await around(row, work)) / divisor;
	};
	const sends = (row: RowName, to: 'all' | 'one' | 'half' | 'mixed', times: number) =>
		measure(row, times, async () => driver.do({ kind: 'send', to, times }));

	await warmUp(driver);
	const before = await driver.process.residentBytes();
	const attach = () => driver.do({ kind: 'attach', count: n });
	if (rows.includes('attach')) await measure('attach', 1, attach);
	else await attach();
	const after = await driver.process.residentBytes();
	if (rows.includes('memory')) sample.memory = (after - before) / n / 1024;
	await sends('broadcast', 'all', sizes.repeats);
	await sends('one', 'one', sizes.manyRepeats);
	await sends('half', 'half', sizes.repeats);
	await sends('unknown', 'mixed', sizes.manyRepeats / 5);
	const asked = sizes.manyRepeats * 4;
	await measure('has', asked, () => driver.do({ kind: 'has', times: asked }));
	await measure('delete', 1, () => driver.do({ kind: 'delete', count: n, atOnce: 100 }));
	return sample;
}

/** What DELETE and GET cost where much is kept; a fresh process for each log. */
export async function measureLog(
	bundle: string,
	subject: Subject,
	rows: readonly RowName[],
	sizes: Sizes,
	clock: Clock,
): Promise<Sample> {
	const sample: Sample = {};
	const logs = [
		{ addressees: 0, get: 'get-empty-log', end: 'delete-empty-log' },
		{ addressees: 1, get: undefined, end: 'delete-full-log' },
		{ addressees: 40, get: 'get-full-log', end: 'delete-full-log-40' },
	] as const;
	for (const { addressees, get, end } of logs) {
		const wanted = (row: RowName | undefined) =>
			row !== undefined && rows.includes(row) && isFor(row, subject);
		if (!wanted(get) && !wanted(end)) continue;
		await withDriver(bundle, { clock }, async (driver) => {
			await warmUp(driver);
			await driver.do({ kind: 'attach', count: sizes.logStreams });
			const { events, logRepeats } = sizes;
			// Before the log is filled, so that all of it is between what they have and what waits for them.
			if (wanted(get)) await driver.do({ kind: 'leave', count: logRepeats });
			// Together with the events that wait it is as much as is kept by default.
			if (addressees > 0) {
				await driver.do({ kind: 'fill', events: events - logRepeats, addressees });
			}
			if (get && wanted(get)) {
				await driver.do({ kind: 'owe' });
				sample[get] = (await driver.do({ kind: 'get', count: logRepeats })) / logRepeats;
			}
			if (wanted(end)) {
				const ms = await driver.do({ kind: 'delete', count: logRepeats, atOnce: 1 });
				sample[end] = ms / logRepeats;
			}
		});
	}
	return sample;
}

/** What each subject's first call costs after its object has hibernated. They sleep at the same time. */
export async function measureWakes(
	bundles: ReadonlyMap<Subject, string>,
	row: 'wake-has' | 'wake-one',
	sizes: Sizes,
	clock: Clock,
): Promise<Map<Subject, number>> {
	const drivers = new Map<Subject, Driver>();
	const measured = new Map<Subject, number>();
	try {
		for (const [subject, bundle] of bundles) {
			const driver = await Driver.start(bundle, { clock });
			drivers.set(subject, driver);
			await warmUp(driver);
			await driver.do({ kind: 'attach', count: sizes.sleepers });
		}
		await wait(SLEEP_MS);
		for (const [subject, driver] of drivers) {
			const { starts } = driver;
			const command = { 'wake-has': 'has', 'wake-one': 'send' } as const;
			const kind = command[row];
			const ms = await driver.do(
				kind === 'has' ? { kind, times: 1 } : { kind, to: 'one', times: 1 },
			);
			if (driver.starts === starts) throw new Error(`The object of ${subject} did not hibernate.`);
			measured.set(subject, ms);
		}
		return measured;
	} finally {
		for (const driver of drivers.values()) await driver.stop();
	}
}

/** Work with a fresh process. */
export async function withDriver<T>(
	bundle: string,
	options: DriverOptions,
	work: (driver: Driver) => Promise<T>,
): Promise<T> {
	const driver = await Driver.start(bundle, options);
	try {
		return await work(driver);
	} finally {
		await driver.stop();
	}
}
