/** Many homes and streams on one machine, over TCP, and a kill in the middle: `npm run scale`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleWorker } from './bundle.ts';
import { Crowd } from './crowd.ts';
import { describeMachine, type Machine, machineLine } from './machine.ts';
import { assertEnoughFiles, WorkerdProcess } from './workerd.ts';

/** Files of workerd beside one for each stream. */
const OTHER_FILES = 1_000;

const WARM_UP_SESSIONS = 100;
const WARM_UP_SENDS = 10;

/** Messages that are timed. */
const BROADCASTS = 7;

/** Samples of the small run, which the model's constants come from. */
const SAMPLES = 3;

export interface Size {
	homes: number;
	streams: number;
}

/** What one run has measured: times in milliseconds. */
export interface ScaleRun extends Size {
	/** `initialize` of all sessions, 50 at once. */
	beginMs: number;
	/** A GET of each session until its first event, 50 at once. */
	openMs: number;
	/** What workerd has grown by, for each session with its stream, in KB of resident memory. */
	memoryKB: number;
	/** From the call of `broadcast` until the last client has the message, once for each message. */
	broadcastMs: number[];
	/** After SIGKILL: from the start of the process until it listens. */
	startMs: number;
	/** All GETs at once, until the last client has what was sent meanwhile. */
	returnMs: number;
	/** How often a client that came back was not let in at once. */
	refused: number;
}

export interface ScaleResults {
	machine: Machine;
	runs: ScaleRun[];
}

export const RESULTS = new URL('scale-results.json', import.meta.url);

/** @throws where a client has missed a message, or got one twice */
export async function measureScale(file: string, size: Size): Promise<ScaleRun> {
	const { homes, streams } = size;
	await assertEnoughFiles(streams + OTHER_FILES);
	const server = await WorkerdProcess.start(file, false, { HOMES: String(homes) });
	const crowd = new Crowd().at(server.port);
	try {
		await warmUp(server.port);
		const before = await server.residentBytes();
		const beginMs = await timed(() => crowd.begin(streams));
		const openMs = await timed(() => crowd.open());
		const memoryKB = ((await server.residentBytes()) - before) / streams / 1024;
		const broadcastMs: number[] = [];
		let messages = 0;
		const sendToAll = async () => {
			const number = messages++;
			await crowd.send(number);
			await crowd.untilReceived(number);
		};
		for (let n = 0; n < BROADCASTS; n++) broadcastMs.push(await timed(sendToAll));

		await server.kill();
		await crowd.ended();
		const startMs = await timed(() => server.startAgain());
		crowd.at(server.port);
		await crowd.send(messages++);
		const returnMs = await timed(async () => {
			const returning = crowd.comeBack();
			// In the middle of it: some are back, some are not.
			const meanwhile = messages++;
			await crowd.untilReceived(meanwhile - 1, streams / 2);
			await crowd.send(meanwhile);
			await returning;
			await crowd.untilReceived(meanwhile);
		});
		await sendToAll();
		crowd.assertWhole(messages);
		const { refused } = crowd;
		return { ...size, beginMs, openMs, memoryKB, broadcastMs, startMs, returnMs, refused };
	} finally {
		crowd.close();
		await server.stop();
	}
}

/** Compiles what will be timed, and touches the disk of each home. */
async function warmUp(port: number): Promise<void> {
	const crowd = new Crowd().at(port);
	await crowd.begin(WARM_UP_SESSIONS);
	await crowd.open();
	for (let n = 0; n < WARM_UP_SENDS; n++) {
		await crowd.send(n);
		await crowd.untilReceived(n);
	}
	await crowd.end();
	crowd.close();
}

async function timed(work: () => Promise<unknown>): Promise<number> {
	const start = performance.now();
	await work();
	return Math.round(performance.now() - start);
}

/** Work with the bundled Worker. */
export async function withScaleWorker<T>(work: (file: string) => Promise<T>): Promise<T> {
	const folder = await mkdtemp(join(tmpdir(), 'bench-workers-'));
	try {
		return await work(await bundleWorker('scale', folder));
	} finally {
		await rm(folder, { recursive: true, force: true, maxRetries: 3 });
	}
}

if (import.meta.main) {
	const { values } = parseArgs({
		options: { homes: { type: 'string' }, streams: { type: 'string' } },
	});
	const { homes = '16', streams = '16000' } = values;
	const isFull = Object.keys(values).length === 0;
	const small = Array.from({ length: isFull ? SAMPLES : 0 }, () => ({ homes: 1, streams: 1_000 }));
	const machine = await describeMachine();
	console.log(machineLine(machine));
	const runs = await withScaleWorker(async (file) => {
		const done: ScaleRun[] = [];
		for (const size of [...small, { homes: Number(homes), streams: Number(streams) }]) {
			const run = await measureScale(file, size);
			console.log(JSON.stringify(run));
			done.push(run);
		}
		return done;
	});
	if (isFull) {
		const results: ScaleResults = { machine, runs };
		await writeFile(RESULTS, `${JSON.stringify(results, undefined, '\t')}\n`);
		console.log(
			'Written into bench/scale-results.json: npm run model puts it into docs/scaling.md.',
		);
	}
}
