import * as v from 'valibot';
import { type Command, ReplySchema } from './worker/commands.ts';
import { WorkerdProcess } from './workerd.ts';

const LIMIT_MS = 900_000;

/** From when on it shows whether the clock of the Worker goes, in milliseconds. */
const LONG_MS = 2_000;

/**
 * What is counted of a command: the time that passed, or the CPU time that workerd took, which is nearly the same on a
 * machine that is busy with other things (Linux only, and without the time that a disk takes).
 */
export type Clock = 'elapsed' | 'cpu';

export interface DriverOptions {
	clock: Clock;
	inspector?: boolean;
}

/** A process of workerd and the one connection to the driver Worker in it. */
export class Driver {
	readonly process: WorkerdProcess;
	/** How often the object was constructed, as of the last command. */
	starts = 0;
	#socket: WebSocket;
	#clock: Clock;

	private constructor(process: WorkerdProcess, socket: WebSocket, clock: Clock) {
		this.#clock = clock;
		this.process = process;
		this.#socket = socket;
	}

	static async start(bundle: string, options: DriverOptions): Promise<Driver> {
		const process = await WorkerdProcess.start(bundle, options.inspector ?? false);
		const socket = new WebSocket(`ws://127.0.0.1:${process.port}`);
		try {
			await next(socket, 'open');
			return new Driver(process, socket, options.clock);
		} catch (error) {
			await process.stop();
			throw error;
		}
	}

	/** @returns how long it took, in milliseconds */
	async do(command: Command): Promise<number> {
		const isCpu = this.#clock === 'cpu';
		const cpuStart = isCpu ? await this.process.cpuMs() : 0;
		const start = performance.now();
		const answer = next(this.#socket, 'message');
		this.#socket.send(JSON.stringify(command));
		const event = await answer;
		const data: unknown = event instanceof MessageEvent ? event.data : undefined;
		const reply = v.parse(ReplySchema, JSON.parse(String(data)));
		if ('error' in reply) throw new Error(`${command.kind}: ${reply.error}`);
		this.starts = reply.starts;
		if (isCpu) return (await this.process.cpuMs()) - cpuStart;
		// On Cloudflare it stands still while a Worker computes; in workerd on its own it does not, so far.
		const passed = performance.now() - start;
		if (passed > LONG_MS && reply.ms < passed / 4) {
			throw new Error(`${command.kind} took ${passed} ms, and the Worker says ${reply.ms}.`);
		}
		return reply.ms;
	}

	async stop(): Promise<void> {
		await this.process.stop();
	}
}

/** @throws where the connection ends before, or nothing comes for a quarter of an hour */
function next(socket: WebSocket, type: 'open' | 'message'): Promise<Event> {
	return new Promise((resolve, reject) => {
		const done = new AbortController();
		const { signal } = done;
		const timer = setTimeout(() => settle(() => reject(new Error('No answer.'))), LIMIT_MS);
		const settle = (how: () => void) => {
			clearTimeout(timer);
			done.abort();
			how();
		};
		socket.addEventListener(type, (event) => settle(() => resolve(event)), { signal });
		for (const end of ['close', 'error']) {
			const fail = () => settle(() => reject(new Error('workerd closed the connection.')));
			socket.addEventListener(end, fail, { signal });
		}
	});
}
