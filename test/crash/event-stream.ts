import { type ClientRequest, type IncomingMessage, request } from 'node:http';

export interface StreamEvent {
	id: string | undefined;
	/** Empty for an event that is there for its id. */
	data: string;
}

/** How a client reads: all that comes, with pauses, or nothing at all. */
export type Reading = 'full' | 'slow' | 'none';

/** How it goes: with a FIN, with an RST, or not at all: it just reads no more. */
export type Leaving = 'close' | 'reset' | 'freeze';

/** How long the headers may take, in milliseconds: longer than any pause of the process. */
const HEADERS_LIMIT_MS = 15_000;

/** One GET on a TCP connection of its own. */
export class EventStream {
	/** The status of the response. Rejects where the connection breaks before. */
	readonly status: Promise<number>;
	/** Settles when nothing more is read. */
	readonly ended: Promise<void>;
	#request: ClientRequest;
	#reading: Reading;
	#slowMs: number;
	#onEvent: (event: StreamEvent) => void;
	#hasLeft = false;
	#response: IncomingMessage | undefined;
	#end = () => {};
	#text = '';

	/** @param slowMs the pause after each piece that a slow one reads */
	constructor(
		url: URL,
		headers: Record<string, string>,
		how: { reading: Reading; slowMs: number },
		onEvent: (event: StreamEvent) => void,
	) {
		this.#reading = how.reading;
		this.#slowMs = how.slowMs;
		this.#onEvent = onEvent;
		this.#request = request(url, {
			agent: false,
			headers: { accept: 'text/event-stream', ...headers },
		});
		this.ended = new Promise((resolve) => (this.#end = resolve));
		this.status = new Promise((resolve, reject) => {
			const late = setTimeout(() => this.leave('close'), HEADERS_LIMIT_MS);
			this.#request.on('response', (response) => {
				clearTimeout(late);
				resolve(response.statusCode ?? 0);
				this.#read(response);
			});
			this.#request.on('error', reject);
			this.#request.on('close', () => {
				clearTimeout(late);
				reject(new Error('The connection was closed.'));
				// Whoever reads slowly reads on, where the response had come to its end before.
				if (!this.#response || this.#response.closed || this.#reading === 'none') this.#end();
				else this.#response.on('close', () => this.#end());
			});
		});
		// Where it is left before, nobody asks.
		this.status.catch(() => {});
		this.#request.end();
	}

	/** From now on nothing is taken. A frozen connection stays until {@link destroy}. */
	leave(how: Leaving): void {
		this.#hasLeft = true;
		if (how === 'close') this.#request.destroy();
		if (how === 'reset') {
			if (this.#request.socket) this.#request.socket.resetAndDestroy();
			this.#request.destroy();
		}
		this.#end();
	}

	destroy(): void {
		this.#request.destroy();
	}

	/** A slow client is slow no more. */
	hurry(): void {
		if (this.#reading === 'slow') this.#reading = 'full';
	}

	#read(response: IncomingMessage): void {
		this.#response = response;
		// The request reports the end of the connection.
		response.on('error', () => {});
		// What nobody reads stays in the socket, whose buffer fills up.
		if (this.#reading === 'none') return;
		response.setEncoding('utf8').on('data', (chunk: string) => {
			if (this.#hasLeft) {
				response.pause();
				return;
			}
			this.#parse(chunk);
			if (this.#reading !== 'slow') return;
			response.pause();
			setTimeout(() => response.resume(), this.#slowMs);
		});
	}

	#parse(chunk: string): void {
		const blocks = (this.#text + chunk).split('\n\n');
		this.#text = blocks.pop() ?? '';
		for (const block of blocks) {
			let id: string | undefined;
			let data: string | undefined;
			for (const line of block.split('\n')) {
				if (line.startsWith('id: ')) id = line.slice('id: '.length);
				if (line.startsWith('data: ')) data = line.slice('data: '.length);
			}
			if (data !== undefined) this.#onEvent({ id, data });
		}
	}
}
