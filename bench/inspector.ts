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

/** How long a function itself ran, without what it called. */
export interface SelfTime {
	name: string;
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
		const names = new Map(
			profile.nodes.map(({ id, callFrame: { functionName, lineNumber, url } }) => {
				const line = url === '' ? '' : `:${lineNumber + 1}`;
				return [id, `${functionName || '(anonymous)'}${line}`];
			}),
		);
		const times = new Map<string, number>();
		profile.samples.forEach((id, index) => {
			const name = names.get(id) ?? '(unknown)';
			const us = profile.timeDeltas[index] ?? 0;
			times.set(name, (times.get(name) ?? 0) + us / 1000);
		});
		times.delete('(idle)');
		return [...times].map(([name, ms]) => ({ name, ms })).toSorted((a, b) => b.ms - a.ms);
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
