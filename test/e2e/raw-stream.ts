import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';

const LIMIT_MS = 20_000;

/** A request written by hand on a TCP socket, for a client that stops reading, or vanishes without a word. */
export class RawStream {
	#socket: Socket;
	#text = '';

	private constructor(socket: Socket) {
		this.#socket = socket;
		socket.setEncoding('latin1').on('data', (text: string) => {
			this.#text += text;
		});
	}

	/** A GET. Resolves when the server's first comment has arrived, and its stream is open. */
	static async open(url: URL, headers: Record<string, string> = {}): Promise<RawStream> {
		const stream = await RawStream.#request('GET', url, headers);
		await stream.receives(': connected');
		return stream;
	}

	/** A POST. Resolves when the request is written. */
	static post(url: URL, headers: Record<string, string>, body: string): Promise<RawStream> {
		const length = String(Buffer.byteLength(body));
		return RawStream.#request('POST', url, { ...headers, 'content-length': length }, body);
	}

	static async #request(
		method: string,
		url: URL,
		headers: Record<string, string>,
		body = '',
	): Promise<RawStream> {
		const socket = connect(Number(url.port), url.hostname);
		await once(socket, 'connect');
		const lines = Object.entries({ host: url.host, ...headers }).map((header) => header.join(': '));
		socket.write(
			[`${method} ${url.pathname}${url.search} HTTP/1.1`, ...lines, '', body].join('\r\n'),
		);
		return new RawStream(socket);
	}

	/** What has arrived. */
	get text(): string {
		return this.#text;
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
