import { exports } from 'cloudflare:workers';
import type { Drop } from './plan.ts';
import type { Received } from './verdict.ts';

/** The client of one session: it always has a stream, or comes back for one, and says which event it has last. */
export class Client {
	readonly received: Received[] = [];
	/** How often it came back. */
	reconnects = 0;
	#url: string;
	#lastEventId: string | undefined;
	#connection: Connection | undefined;
	#left: Promise<void>[] = [];
	#stopped = new AbortController();
	#running: Promise<void> | undefined;
	#awayMs = 0;

	constructor(url: string) {
		this.#url = url;
	}

	/** Open the first stream. */
	join(): void {
		this.#running ??= this.#run();
	}

	/** Go away, and come back after a while. @returns whether it did: one that knows no place stays */
	drop(how: Drop, awayMs: number): boolean {
		// The first event of a stream has no message, so that it knows one from the beginning.
		if (!this.#connection || this.#lastEventId === undefined) return false;
		this.#awayMs = awayMs;
		this.#left.push(this.#connection.leave(how));
		return true;
	}

	/** Go for good. */
	async stop(): Promise<void> {
		this.#stopped.abort();
		if (this.#connection) this.#left.push(this.#connection.leave('cancelled'));
		await this.#running;
		await Promise.all(this.#left);
	}

	async #run(): Promise<void> {
		for (let streams = 0; !this.#stopped.signal.aborted; streams++) {
			if (streams > 0) this.reconnects++;
			this.#connection = await Connection.open(this.#url, this.#lastEventId, (event) => {
				this.#lastEventId = event.id ?? this.#lastEventId;
				const { id, message } = event;
				if (message !== undefined) this.received.push({ id, message });
			});
			await this.#connection.ended;
			this.#connection = undefined;
			await scheduler.wait(this.#awayMs);
			this.#awayMs = 5;
		}
	}
}

/** An event that has no message is there for its id. */
type Parsed = Omit<Received, 'message'> & { message: number | undefined };

/** One GET. */
class Connection {
	/** Settles when nothing more is read. */
	readonly ended: Promise<void>;
	#abort: AbortController;
	#reader: ReadableStreamDefaultReader<Uint8Array>;
	#leave = () => {};
	#hasLeft = false;

	private constructor(
		abort: AbortController,
		body: ReadableStream<Uint8Array>,
		onEvent: (event: Parsed) => void,
	) {
		this.#abort = abort;
		this.#reader = body.getReader();
		const left = new Promise<void>((resolve) => (this.#leave = resolve));
		this.ended = Promise.race([left, this.#read(onEvent)]);
	}

	static async open(
		url: string,
		lastEventId: string | undefined,
		onEvent: (event: Parsed) => void,
	): Promise<Connection> {
		const abort = new AbortController();
		const { body } = await exports.default.fetch(url, {
			signal: abort.signal,
			headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
		});
		if (!body) throw new Error('The response has no body.');
		return new Connection(abort, body, onEvent);
	}

	/** From now on nothing is taken. @returns when the other end may know, too */
	async leave(how: Drop): Promise<void> {
		this.#hasLeft = true;
		this.#leave();
		if (how === 'aborted') this.#abort.abort();
		// An abandoned response is cancelled by the runtime only, some time later.
		if (how === 'abandoned') await scheduler.wait(500);
		await this.#reader.cancel().catch(() => {});
	}

	async #read(onEvent: (event: Parsed) => void): Promise<void> {
		const decoder = new TextDecoder();
		let text = '';
		try {
			for (;;) {
				const { done, value } = await this.#reader.read();
				if (done || this.#hasLeft) return;
				text += decoder.decode(value, { stream: true });
				const blocks = text.split('\n\n');
				text = blocks.pop() ?? '';
				for (const block of blocks) {
					const event = parseEvent(block);
					if (event) onEvent(event);
				}
			}
		} catch {
			// The stream broke: the client comes back, as after an end.
		}
	}
}

function parseEvent(block: string): Parsed | undefined {
	let id: string | undefined;
	let data: string | undefined;
	for (const line of block.split('\n')) {
		if (line.startsWith('id: ')) id = line.slice('id: '.length);
		if (line.startsWith('data: ')) data = line.slice('data: '.length);
	}
	if (data === undefined) return undefined;
	return { id, message: data === '' ? undefined : Number.parseInt(data, 10) };
}
