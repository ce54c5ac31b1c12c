import { exports } from 'cloudflare:workers';
import { EventStream } from '../../support/event-stream.ts';

/** A client of a session-based revision that keeps to the protocol: it uses the id that the server gave it. */
export class SessionClient {
	readonly path: string;
	#headers: Record<string, string>;
	#nextId = 1;

	constructor(path: string, headers: Record<string, string> = {}) {
		this.path = path;
		this.#headers = headers;
	}

	/** Initialise, and keep the id. */
	static async begin(path: string, headers: Record<string, string> = {}): Promise<SessionClient> {
		const response = await new SessionClient(path, headers).post('initialize', INITIALIZE);
		const sessionId = response.headers.get('mcp-session-id');
		if (response.status !== 200 || sessionId === null)
			throw new Error(`initialize was answered ${response.status}`);
		await new EventStream(response.body).ended;
		return new SessionClient(path, { ...headers, 'mcp-session-id': sessionId });
	}

	get sessionId(): string {
		return this.#headers['mcp-session-id'] ?? '';
	}

	/** The same client with other headers. */
	with(headers: Record<string, string>): SessionClient {
		return new SessionClient(this.path, { ...this.#headers, ...headers });
	}

	fetch(method: string, init: { headers?: Record<string, string>; body?: string } = {}) {
		return exports.default.fetch(`https://example.com${this.path}`, {
			...init,
			method,
			headers: {
				'content-type': 'application/json',
				accept: 'application/json, text/event-stream',
				...this.#headers,
				...init.headers,
			},
		});
	}

	post(method: string, params: object = {}): Promise<Response> {
		const body = JSON.stringify({ jsonrpc: '2.0', id: this.#nextId++, method, params });
		return this.fetch('POST', { body });
	}

	/** Call a tool, and wait for all of the answer. */
	async call(name: string): Promise<unknown> {
		const response = await this.post('tools/call', { name, arguments: {} });
		if (response.status !== 200) throw new Error(`${name} was answered ${response.status}`);
		const [message] = await new EventStream(response.body).messages(1);
		return message;
	}

	async open(headers: Record<string, string> = {}): Promise<EventStream> {
		const response = await this.fetch('GET', { headers });
		if (response.status !== 200) throw new Error(`GET was answered ${response.status}`);
		return new EventStream(response.body);
	}
}

export const INITIALIZE = {
	protocolVersion: '2025-06-18',
	capabilities: {},
	clientInfo: { name: 'test-client', version: '1.2.3' },
};
