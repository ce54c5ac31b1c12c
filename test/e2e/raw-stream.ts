import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';

const LIMIT_MS = 20_000;

/** A GET written by hand on a TCP socket, for a client that stops reading, or vanishes without a word. */
export class RawStream {
	#socket: Socket;
	#text = '';

	private constructor(socket: Socket) {
		this.#socket = socket;
		socket.setEncoding('latin1').on('data', (text: string) => {
			this.#text += text;
		});
	}

	/** Resolves when the server's first comment has arrived, and its stream is open. */
	static async open(url: URL, headers: Record<string, string> = {}): Promise<RawStream> {
		const socket = connect(Number(url.port), url.hostname);
		await once(socket, 'connect');
		const lines = Object.entries({ host: url.host, ...headers }).map((header) => header.join(': '));
		socket.write([`GET ${url.pathname}${url.search} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
		const stream = new RawStream(socket);
		await stream.receives(': connected');
		return stream;
	}

	/** Wait until this text has arrived. */
	async receives(text: string): Promise<void> {
		await waitFor(JSON.stringify(text), LIMIT_MS, () => this.#text.includes(text));
	}

	/** Read nothing more, but stay. */
	stopReading(): void {
		this.#socket.pause();
	}

	/** Go without a word. */
	vanish(): void {
		this.#socket.destroy();
	}
}
