import { exports } from 'cloudflare:workers';
import { EventStream } from './event-stream.ts';

/** A Streamable HTTP client that shows each request and each response. Every request is one of its own to the Worker. */
export class McpClient {
	readonly path: string;
	readonly sessionId: string;
	#nextId = 1;

	constructor(path: string, sessionId: string = crypto.randomUUID()) {
		this.path = path;
		this.sessionId = sessionId;
	}

	fetch(method: string, body?: unknown): Promise<Response> {
		return exports.default.fetch(`https://example.com${this.path}`, {
			method,
			headers: {
				'mcp-session-id': this.sessionId,
				'content-type': 'application/json',
				accept: 'application/json, text/event-stream',
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
	}

	/** A request, and its result. */
	async request(method: string, params: object = {}): Promise<unknown> {
		const response = await this.fetch('POST', {
			jsonrpc: '2.0',
			id: this.#nextId++,
			method,
			params,
		});
		const [message] = await new EventStream(response.body).messages(1);
		if (typeof message === 'object' && message !== null && 'result' in message)
			return message.result;
		throw new Error(JSON.stringify(message));
	}

	async notify(method: string, params: object = {}): Promise<void> {
		const { status } = await this.fetch('POST', { jsonrpc: '2.0', method, params });
		if (status !== 202) throw new Error(`${method} was answered ${status}`);
	}

	async initialize(capabilities: object = {}): Promise<this> {
		const clientInfo = { name: 'test-client', version: '1.2.3' };
		await this.request('initialize', { protocolVersion: '2025-06-18', capabilities, clientInfo });
		await this.notify('notifications/initialized');
		return this;
	}

	call(name: string): Promise<unknown> {
		return this.request('tools/call', { name, arguments: {} });
	}

	async openStream(): Promise<EventStream> {
		const response = await this.fetch('GET');
		if (response.status !== 200) throw new Error(`GET was answered ${response.status}`);
		return new EventStream(response.body);
	}
}
