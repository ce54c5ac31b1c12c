/** What many sessions take, computed from what was measured and from documented limits: `npm run model` writes docs/scaling.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Measured } from './benchmark.ts';
import { LIFE } from './life.ts';
import { median } from './statistics.ts';

/** How long a session lives, in seconds. Sessions that live half as long ask for twice as much. */
const SESSION_SECONDS = 3_600;

/** How often something is sent to all sessions, in seconds. */
const BROADCAST_EVERY_SECONDS = 60;

/** Streams in one home: half a second for a broadcast to all (see `results.json`), and a third of what an object holds. */
const STREAMS_IN_A_HOME = 10_000;

/** Requests a second in one home: objects that write take 200 to 500 (durable-objects/best-practices/rules-of-durable-objects). */
const REQUESTS_IN_A_HOME = 300;

const SECONDS_IN_A_MONTH = 30 * 24 * 3_600;

/** The largest log of a home, in GB: the default of `maxBytes`. */
const LOG_GB = (16 * 1024 * 1024) / 1e9;

/** Memory that an awake object is billed for, in GB (durable-objects/platform/pricing). */
const OBJECT_GB = 0.128;

/** Dollars: list prices, without what is included (workers/platform/pricing, durable-objects/platform/pricing). */
export const PRICE = {
	workerRequest: 0.3e-6,
	objectRequest: 0.15e-6,
	rowWritten: 1e-6,
	gbSecond: 12.5e-6,
	gbMonth: 0.2,
} as const;

/** What was measured of one object. */
export interface Measurements {
	/** Milliseconds that a stream adds to a broadcast to all. */
	broadcastMsPerStream: number;
	/** KB of memory that an open stream takes in workerd, on both ends. */
	memoryKB: number;
	/** Milliseconds to attach a stream, 50 at once. */
	attachMs: number;
}

export interface Scale {
	sessions: number;
	homes: number;
	/** Which limit says how many homes there are. */
	boundBy: 'streams' | 'requests';
	/** Of all homes, a second. */
	requests: number;
	rowsWritten: number;
	/** Milliseconds until a broadcast to all has reached the last stream of a home. */
	broadcastMs: number;
	/** Seconds until all streams of a home that was restarted are back, if it does nothing else. */
	returnSeconds: number;
	/** GB of log in all homes, at most. */
	logGB: number;
	/** Dollars a month, by what they are for. */
	dollars: { requests: number; rows: number; duration: number; storage: number; workers: number };
}

export function measurements(measured: readonly Measured[], n = STREAMS_IN_A_HOME): Measurements {
	const of = (row: string) => {
		const found = measured.find((one) => one.row === row && one.n === n);
		const value = median(found?.values.ours ?? []);
		if (value === undefined)
			throw new Error(`bench/results.json has no ${row} of ours with ${n} streams.`);
		return value;
	};
	return {
		broadcastMsPerStream: of('broadcast') / n,
		memoryKB: of('memory'),
		attachMs: of('attach') / n,
	};
}

export function scale(sessions: number, measured: Measurements): Scale {
	const begun = sessions / SESSION_SECONDS;
	const forStreams = Math.ceil(sessions / STREAMS_IN_A_HOME);
	const forRequests = Math.ceil((begun * LIFE.objectCalls) / REQUESTS_IN_A_HOME);
	const homes = Math.max(forStreams, forRequests);
	const streams = sessions / homes;
	const requests = begun * LIFE.objectRequests + homes / BROADCAST_EVERY_SECONDS;
	const rowsWritten =
		begun * (LIFE.rowsWritten + LIFE.rowsWrittenLater) + homes / BROADCAST_EVERY_SECONDS;
	const logGB = homes * LOG_GB;
	return {
		sessions,
		homes,
		boundBy: forStreams >= forRequests ? 'streams' : 'requests',
		requests,
		rowsWritten,
		broadcastMs: streams * measured.broadcastMsPerStream,
		returnSeconds: (streams * measured.attachMs) / 1_000,
		logGB,
		dollars: {
			workers: begun * LIFE.workerRequests * SECONDS_IN_A_MONTH * PRICE.workerRequest,
			requests: requests * SECONDS_IN_A_MONTH * PRICE.objectRequest,
			rows: rowsWritten * SECONDS_IN_A_MONTH * PRICE.rowWritten,
			duration: homes * OBJECT_GB * SECONDS_IN_A_MONTH * PRICE.gbSecond,
			storage: logGB * PRICE.gbMonth,
		},
	};
}

const SIZES = [1_000, 100_000, 10_000_000];

const number = (value: number) =>
	value.toLocaleString('en', { maximumSignificantDigits: value < 100 ? 2 : 3 });

export function scalingTable(measured: Measurements): string {
	const scales = SIZES.map((sessions) => scale(sessions, measured));
	const row = (title: string, of: (one: Scale) => string) =>
		`| ${[title, ...scales.map(of)].join(' | ')} |`;
	const money = (of: (dollars: Scale['dollars']) => number) => (one: Scale) =>
		`$${number(of(one.dollars))}`;
	return [
		row('sessions at once', ({ sessions }) => number(sessions)),
		`|---|${scales.map(() => '---:|').join('')}`,
		row('homes', ({ homes, boundBy }) => `${number(homes)} (${boundBy})`),
		row('requests a second, all homes', ({ requests }) => number(requests)),
		row('requests a second in a home', ({ requests, homes }) => number(requests / homes)),
		row('rows written a second, all homes', ({ rowsWritten }) => number(rowsWritten)),
		row('a broadcast to all, ms', ({ broadcastMs }) => number(broadcastMs)),
		row('a home is restarted: all are back after, s', ({ returnSeconds }) => number(returnSeconds)),
		row('log, at most, GB', ({ logGB }) => number(logGB)),
		row(
			'a month: requests of the Worker',
			money(({ workers }) => workers),
		),
		row(
			'requests of the objects',
			money(({ requests }) => requests),
		),
		row(
			'rows written',
			money(({ rows }) => rows),
		),
		row(
			'duration, if no home ever sleeps',
			money(({ duration }) => duration),
		),
		row(
			'storage of the logs',
			money(({ storage }) => storage),
		),
		row(
			'in all',
			money((dollars) => Object.values(dollars).reduce((sum, of) => sum + of, 0)),
		),
	].join('\n');
}

export const MARKS = ['<!-- npm run model -->\n', '\n<!-- end -->'] as const;

/** The page with its table computed anew. */
export function withTable(page: string, table: string): string {
	const [before, rest = ''] = page.split(MARKS[0]);
	const [, after = ''] = rest.split(MARKS[1]);
	return before + MARKS[0] + table + MARKS[1] + after;
}

export const PAGE = new URL('../docs/scaling.md', import.meta.url);

export function currentTable(): string {
	const results: { measured: Measured[] } = JSON.parse(
		readFileSync(new URL('results.json', import.meta.url), 'utf8'),
	);
	return scalingTable(measurements(results.measured));
}

if (import.meta.main) {
	const table = currentTable();
	writeFileSync(PAGE, withTable(readFileSync(PAGE, 'utf8'), table));
	console.log(table);
}
