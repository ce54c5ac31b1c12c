import { setTimeout as wait } from 'node:timers/promises';
import * as v from 'valibot';

const SAMPLING_INTERVAL_US = 200;
const CONNECT_TRIES = 50;
const CONNECT_PAUSE_MS = 100;

const TargetsSchema = v.array(v.object({ webSocketDebuggerUrl: v.string() }));

const MessageSchema = v.object({
	id: v.optional(v.number()),
	result: v.optional(v.unknown()),
	error: v.optional(v.object({ message: v.string() })),
});

const ProfileSchema = v.object({
	profile: v.object({
		nodes: v.array(
			v.object({
				id: v.number(),
				children: v.optional(v.array(v.number()), []),
				callFrame: v.object({
					functionName: v.string(),
					url: v.string(),
					lineNumber: v.number(),
				}),
			}),
		),
		samples: v.array(v.number()),
		timeDeltas: v.array(v.number()),
	}),
});

/** A function of a script. */
export interface Frame {
	name: string;
	/** From 0 on; `undefined` for what belongs to the runtime. */
	line: number | undefined;
}

/** How long a function itself ran, without what it called. */
export interface SelfTime {
	frame: Frame;
	/** For what belongs to the runtime: the function of a script that called it. */
	caller: Frame | undefined;
	ms: number;
}

/** The inspector of workerd: the Chrome DevTools Protocol on a WebSocket. */
export class Inspector {
	#socket: WebSocket;
	#lastId = 0;
	#waiting = new Map<number, PromiseWithResolvers<unknown>>();

	private constructor(socket: WebSocket) {
		this.#socket = socket;
		socket.addEventListener('message', ({ data }) => this.#take(String(data)));
	}

	/** @throws where workerd has no inspector on that port */
	static async connect(port: number | undefined): Promise<Inspector> {
		if (port === undefined) throw new Error('This workerd was started without an inspector.');
		const socket = new WebSocket(await target(port));
		await new Promise((resolve, reject) => {
			socket.addEventListener('open', resolve);
			socket.addEventListener('error', () => reject(new Error('The inspector does not answer.')));
		});
		const inspector = new Inspector(socket);
		await inspector.#ask('Profiler.enable');
		await inspector.#ask('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_US });
		return inspector;
	}

	async startProfile(): Promise<void> {
		await this.#ask('Profiler.start');
	}

	/** @returns each function that ran, the longest first */
	async stopProfile(): Promise<SelfTime[]> {
		const { profile } = v.parse(ProfileSchema, await this.#ask('Profiler.stop'));
		const frames = new Map(
			profile.nodes.map(({ id, callFrame: { functionName, lineNumber, url } }) => {
				// The runtime has scripts of its own, under names such as `node-internal:timers`.
				const line = url.endsWith('worker.js') ? lineNumber : undefined;
				return [id, { name: functionName || '(anonymous)', line }];
			}),
		);
		const parents = new Map(
			profile.nodes.flatMap(({ id, children }) => children.map((child) => [child, id] as const)),
		);
		const times = new Map<string, SelfTime>();
		profile.samples.forEach((id, index) => {
			const frame = frames.get(id);
			if (!frame || frame.name === '(idle)') return;
			const caller = frame.line === undefined ? callerOf(id, parents, frames) : undefined;
			const key = JSON.stringify([frame, caller]);
			const time = times.get(key) ?? { frame, caller, ms: 0 };
			time.ms += (profile.timeDeltas[index] ?? 0) / 1000;
			times.set(key, time);
		});
		return [...times.values()].toSorted((a, b) => b.ms - a.ms);
	}

	close(): void {
		this.#socket.close();
	}

	#ask(method: string, params: Record<string, unknown> = {}): Promise<unknown> {
		const id = ++this.#lastId;
		const answer = Promise.withResolvers<unknown>();
		this.#waiting.set(id, answer);
		this.#socket.send(JSON.stringify({ id, method, params }));
		return answer.promise;
	}

	#take(text: string): void {
		const { id, result, error } = v.parse(MessageSchema, JSON.parse(text));
		if (id === undefined) return;
		const answer = this.#waiting.get(id);
		this.#waiting.delete(id);
		if (error) answer?.reject(new Error(error.message));
		else answer?.resolve(result);
	}
}

/** The nearest function of a script that something of the runtime was called from. */
function callerOf(
	id: number,
	parents: ReadonlyMap<number, number>,
	frames: ReadonlyMap<number, Frame>,
): Frame | undefined {
	for (let at = parents.get(id); at !== undefined; at = parents.get(at)) {
		const frame = frames.get(at);
		if (frame?.line !== undefined) return frame;
	}
	return undefined;
}

/** The isolate of the Worker, which is listed once it runs. */
async function target(port: number): Promise<string> {
	for (let tries = 0; tries < CONNECT_TRIES; tries++) {
		const response = await fetch(`http://127.0.0.1:${port}/json`);
		const [first] = v.parse(TargetsSchema, await response.json());
		if (first) return first.webSocketDebuggerUrl;
		await wait(CONNECT_PAUSE_MS);
	}
	throw new Error('The inspector lists no Worker.');
}
