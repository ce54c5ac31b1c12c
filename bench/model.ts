/** What many sessions take, computed from what was measured and from documented limits: `npm run model` writes docs/scaling.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Measured } from './benchmark.ts';
import { barChart } from './chart.ts';
import { LIFE } from './life.ts';
import { machineLine } from './machine.ts';
import type { ScaleResults, ScaleRun } from './scale.ts';
import { median } from './statistics.ts';

/** How long a session lives, in seconds. Sessions that live half as long ask for twice as much. */
const SESSION_SECONDS = 3_600;

/** How often something is sent to all sessions, in seconds. */
const BROADCAST_EVERY_SECONDS = 60;

/** Streams in one home: a third of what an object holds, so that one that is restarted has all of them back in half a minute. */
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

/** What a stream takes of the one thread that runs everything, in milliseconds, and of its memory, in KB. */
export interface PerStream {
	/** `initialize`, 50 at once; `undefined` where that was not measured. */
	beginMs: number | undefined;
	/** Opening its stream, 50 at once. */
	openMs: number;
	memoryKB: number;
	/** Of a broadcast to all. */
	broadcastMs: number;
	/** Coming back after the object is gone, all at once. */
	returnMs: number;
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
	/** GB of a workerd that has one of the homes and all its streams, the Worker's ends of them included. */
	memoryGB: number;
	/** GB of log in all homes, at most. */
	logGB: number;
	/** GB of sessions in all homes. */
	sessionsGB: number;
	/** Dollars a month, by what they are for. */
	dollars: { requests: number; rows: number; duration: number; storage: number; workers: number };
}

/** What `npm run bench` has measured: one object and its clients in one isolate, without a gateway and without TCP. */
export function ofObject(measured: readonly Measured[], n = STREAMS_IN_A_HOME): PerStream {
	const of = (row: string) => {
		const found = measured.find((one) => one.row === row && one.n === n);
		return known(found?.values.ours ?? [], `bench/results.json: ${row} of ours with ${n} streams`);
	};
	const openMs = of('attach') / n;
	return {
		beginMs: undefined,
		openMs,
		memoryKB: of('memory'),
		broadcastMs: of('broadcast') / n,
		returnMs: openMs,
	};
}

/** What `npm run scale` has measured of runs of one size: behind a gateway, over TCP. */
export function ofRuns(all: readonly ScaleRun[], homes: number): PerStream {
	const runs = all.filter((run) => run.homes === homes);
	const of = (value: (run: ScaleRun) => number) =>
		known(runs.map(value), `bench/scale-results.json: runs with ${homes} homes`);
	return {
		beginMs: of(({ beginMs, streams }) => beginMs / streams),
		openMs: of(({ openMs, streams }) => openMs / streams),
		memoryKB: of(({ memoryKB }) => memoryKB),
		broadcastMs: of(({ broadcastMs, streams }) => (median(broadcastMs) ?? NaN) / streams),
		returnMs: of(({ returnMs, streams }) => returnMs / streams),
	};
}

function known(values: readonly number[], what: string): number {
	const value = median(values);
	if (value === undefined) throw new Error(`There is nothing of this in ${what}.`);
	return value;
}

export function scale(sessions: number, measured: PerStream): Scale {
	const begun = sessions / SESSION_SECONDS;
	const forStreams = Math.ceil(sessions / STREAMS_IN_A_HOME);
	const forRequests = Math.ceil((begun * LIFE.objectCalls) / REQUESTS_IN_A_HOME);
	const homes = Math.max(forStreams, forRequests);
	const streams = sessions / homes;
	const requests = begun * LIFE.objectRequests + homes / BROADCAST_EVERY_SECONDS;
	const rowsWritten =
		begun * (LIFE.rowsWritten + LIFE.rowsWrittenLater) + homes / BROADCAST_EVERY_SECONDS;
	const logGB = homes * LOG_GB;
	const sessionsGB = (sessions * LIFE.storedBytes) / 1e9;
	return {
		sessions,
		homes,
		boundBy: forStreams >= forRequests ? 'streams' : 'requests',
		requests,
		rowsWritten,
		broadcastMs: streams * measured.broadcastMs,
		returnSeconds: (streams * measured.returnMs) / 1_000,
		memoryGB: (streams * measured.memoryKB * 1024) / 1e9,
		logGB,
		sessionsGB,
		dollars: {
			workers: begun * LIFE.workerRequests * SECONDS_IN_A_MONTH * PRICE.workerRequest,
			requests: requests * SECONDS_IN_A_MONTH * PRICE.objectRequest,
			rows: rowsWritten * SECONDS_IN_A_MONTH * PRICE.rowWritten,
			duration: homes * OBJECT_GB * SECONDS_IN_A_MONTH * PRICE.gbSecond,
			storage: (logGB + sessionsGB) * PRICE.gbMonth,
		},
	};
}

const SIZES = [1_000, 100_000, 10_000_000];

const number = (value: number) =>
	value.toLocaleString('en', { maximumSignificantDigits: value < 100 ? 2 : 3 });

const dollarsOf = (value: number) => `$${number(value)}`;

const inAll = (dollars: Scale['dollars']) =>
	Object.values(dollars).reduce((sum, of) => sum + of, 0);

function scalingTable(measured: PerStream): string {
	const scales = SIZES.map((sessions) => scale(sessions, measured));
	const row = (title: string, of: (one: Scale) => string) =>
		`| ${[title, ...scales.map(of)].join(' | ')} |`;
	const money = (of: (dollars: Scale['dollars']) => number) => (one: Scale) =>
		dollarsOf(of(one.dollars));
	return [
		row('sessions at once', ({ sessions }) => number(sessions)),
		`|---|${scales.map(() => '---:|').join('')}`,
		row('homes', ({ homes, boundBy }) => `${number(homes)} (${boundBy})`),
		row('requests a second, all homes', ({ requests }) => number(requests)),
		row('requests a second in a home', ({ requests, homes }) => number(requests / homes)),
		row('rows written a second, all homes', ({ rowsWritten }) => number(rowsWritten)),
		row('a broadcast to all: in each home, once its call is there, ms', ({ broadcastMs }) =>
			number(broadcastMs),
		),
		row('a home is restarted: all are back after, s', ({ returnSeconds }) => number(returnSeconds)),
		row('memory of a workerd with one home and its streams, GB', ({ memoryGB }) =>
			number(memoryGB),
		),
		row('stored: logs, at most, GB', ({ logGB }) => number(logGB)),
		row('stored: sessions, GB', ({ sessionsGB }) => number(sessionsGB)),
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
			'storage',
			money(({ storage }) => storage),
		),
		row('in all', money(inAll)),
	].join('\n');
}

/** A row of the check: what the model says of the large run, beside what that has measured. */
export interface Checked {
	title: string;
	/** By `npm run bench`, which has measured no `initialize`. */
	object: number | undefined;
	model: number;
	measured: number;
	/** How many times as much was measured as the model says. */
	ratio: number;
}

/** The model, held against the large run. In each of its processes one thread runs all homes. */
export function checks(object: PerStream, runs: readonly ScaleRun[]): Checked[] {
	const [model, large] = [ofRuns(runs, 1), runs.find(({ homes }) => homes > 1)];
	if (!large) throw new Error('bench/scale-results.json has no run with several homes.');
	const { streams, processes, homes } = large;
	const measured = ofRuns(runs, homes);
	const check = (
		title: string,
		of: (per: PerStream) => number | undefined,
		scaled: (value: number, threads: number) => number,
	): Checked => {
		const total = (per: PerStream, threads: number) => {
			const value = of(per);
			return value === undefined ? undefined : scaled(value, threads);
		};
		const said = total(model, processes) ?? NaN;
		const was = total(measured, 1) ?? NaN;
		const ratio = was / said;
		return { title, object: total(object, processes), model: said, measured: was, ratio };
	};
	const seconds = (ms: number, threads: number) => (ms * streams) / threads / 1_000;
	return [
		check('all sessions begun, 50 at once, s', ({ beginMs }) => beginMs, seconds),
		check('all streams open, 50 at once, s', ({ openMs }) => openMs, seconds),
		check(
			'memory of workerd, a session with its stream, KB',
			({ memoryKB }) => memoryKB,
			(memoryKB) => memoryKB,
		),
		check(
			'a broadcast to all, ms',
			({ broadcastMs }) => broadcastMs,
			(ms, threads) => (ms * streams) / threads,
		),
		check('SIGKILL: all are back, all at once, s', ({ returnMs }) => returnMs, seconds),
	];
}

function checkTable(checked: readonly Checked[]): string {
	const cell = (value: number | undefined) => (value === undefined ? '–' : number(value));
	return [
		'| | from `npm run bench` | the model | measured | measured / model |',
		'|---|---:|---:|---:|---:|',
		...checked.map(
			({ title, object, model, measured, ratio }) =>
				`| ${title} | ${cell(object)} | ${cell(model)} | ${cell(measured)} | ${ratio.toFixed(2)} |`,
		),
	].join('\n');
}

const CHARTED = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/** From the smallest value on a bar grows by the same length whenever its value is ten times as large. */
function scalingChart(
	heading: string,
	measured: PerStream,
	of: (one: Scale) => number,
	label = number,
) {
	const values = CHARTED.map((sessions) => of(scale(sessions, measured)));
	const decades = values.map((value) => Math.log10(value / Math.min(...values)) + 1);
	const bars = CHARTED.map((sessions, index) => ({
		name: sessions.toLocaleString('en'),
		colour: '#2b6cb0',
		length: (decades[index] ?? 0) / Math.max(...decades),
		label: label(values[index] ?? 0),
	}));
	return barChart(`${heading}, by sessions at once (logarithmic)`, bars);
}

/** The page with one of its tables computed anew. */
function withTable(page: string, name: string, table: string): string {
	const [start, end] = [`<!-- npm run model: ${name} -->\n`, '\n<!-- end -->'];
	const [before = '', rest] = page.split(start);
	if (rest === undefined) throw new Error(`docs/scaling.md has no place for ${name}.`);
	return before + start + table + rest.slice(rest.indexOf(end));
}

const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');

/** What was measured: of one object without TCP, and of Workers over TCP. */
export function measurements(): ScaleResults & { object: PerStream } {
	const { measured }: { measured: Measured[] } = JSON.parse(read('results.json'));
	const scaled: ScaleResults = JSON.parse(read('scale-results.json'));
	return { ...scaled, object: ofObject(measured) };
}

/** What the model writes, by the file's name in `docs/`. */
export function generated(): Map<string, string> {
	const { machine, runs, object } = measurements();
	const model = ofRuns(runs, 1);
	const tables = {
		sizes: scalingTable(model),
		check: checkTable(checks(object, runs)),
		machine: `${machineLine(machine)}.`,
	};
	const page = Object.entries(tables).reduce(
		(text, [name, table]) => withTable(text, name, table),
		read('../docs/scaling.md'),
	);
	const money = ({ dollars }: Scale) => inAll(dollars);
	return new Map([
		['scaling.md', page],
		['scaling-homes.svg', scalingChart('Homes', model, ({ homes }) => homes)],
		['scaling-money.svg', scalingChart('Dollars a month', model, money, dollarsOf)],
	]);
}

if (import.meta.main) {
	for (const [name, text] of generated()) {
		writeFileSync(new URL(`../docs/${name}`, import.meta.url), text);
		console.log(name === 'scaling.md' ? text : `Written: docs/${name}`);
	}
}
