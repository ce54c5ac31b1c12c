/** Many homes and streams on one machine, over TCP, and a kill in the middle: `npm run scale`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleWorker } from './bundle.ts';
import { Crowd } from './crowd.ts';
import { describeMachine, type Machine, machineLine } from './machine.ts';
import { fileLimit, WorkerdProcess } from './workerd.ts';

/** Files that workerd has open for a stream whose client is in another process. */
const FILES_PER_STREAM = 2;

/** Files of a process beside these. */
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
	/** Of workerd: one cannot hold more streams than half as many as it may have open files. */
	processes: number;
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

/**
 * @param onStep told of each step before it starts
 * @throws where a client has missed a message, or got one twice
 */
export async function measureScale(
	file: string,
	size: Size,
	onStep: (what: string) => void = () => {},
): Promise<ScaleRun> {
	const { homes, streams } = size;
	const limit = await fileLimit();
	if (streams + OTHER_FILES > limit)
		throw new Error(`${streams} clients are more than ${limit} files.`);
	const processes = Math.ceil((streams * FILES_PER_STREAM) / (limit - OTHER_FILES));
	if (homes % processes !== 0) {
		throw new Error(
			`${streams} streams take ${processes} processes, and ${homes} homes cannot be divided by that.`,
		);
	}
	const variables = { HOMES: String(homes / processes) };
	const servers = new Servers(file, processes, variables);
	const crowd = new Crowd();
	try {
		crowd.at(await servers.start());
		onStep(`${streams} sessions begin on ${homes} homes in ${processes} processes`);
		await warmUp(servers.ports);
		const before = await servers.residentBytes();
		const beginMs = await timed(() => crowd.begin(streams));
		onStep('their streams open');
		const openMs = await timed(() => crowd.open());
		const memoryKB = ((await servers.residentBytes()) - before) / streams / 1024;
		onStep('messages are sent');
		const broadcastMs: number[] = [];
		let messages = 0;
		const sendToAll = async () => {
			const number = messages++;
			await crowd.send(number);
			await crowd.untilReceived(number);
		};
		for (let n = 0; n < BROADCASTS; n++) broadcastMs.push(await timed(sendToAll));

		onStep('workerd is killed and started again');
		await servers.kill();
		await crowd.ended();
		const startMs = await timed(() => servers.startAgain());
		crowd.at(servers.ports);
		await crowd.send(messages++);
		onStep('all come back');
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
		const times = { beginMs, openMs, broadcastMs, startMs, returnMs };
		return { ...size, processes, ...times, memoryKB, refused };
	} finally {
		crowd.close();
		await servers.stop();
	}
}

/** The processes of a run, each with some of the homes. */
class Servers {
	#file: string;
	#count: number;
	#variables: Record<string, string>;
	#all: WorkerdProcess[] = [];

	constructor(file: string, count: number, variables: Record<string, string>) {
		this.#file = file;
		this.#count = count;
		this.#variables = variables;
	}

	get ports(): number[] {
		return this.#all.map(({ port }) => port);
	}

	/** @returns their ports */
	async start(): Promise<number[]> {
		while (this.#all.length < this.#count) {
			this.#all.push(await WorkerdProcess.start(this.#file, false, this.#variables));
		}
		return this.ports;
	}

	async residentBytes(): Promise<number> {
		const bytes = await Promise.all(this.#all.map((server) => server.residentBytes()));
		return bytes.reduce((sum, of) => sum + of, 0);
	}

	async kill(): Promise<void> {
		await Promise.all(this.#all.map((server) => server.kill()));
	}

	async startAgain(): Promise<void> {
		await Promise.all(this.#all.map((server) => server.startAgain()));
	}

	async stop(): Promise<void> {
		await Promise.all(this.#all.map((server) => server.stop()));
	}
}

/** Compiles what will be timed, and touches the disk of each home. */
async function warmUp(ports: readonly number[]): Promise<void> {
	const crowd = new Crowd().at(ports);
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
			const run = await measureScale(file, size, (what) => console.error(what));
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
