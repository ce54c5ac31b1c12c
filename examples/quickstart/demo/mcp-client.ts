import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { LIMIT_MS, type Notification, RecordingClient } from './recording-client.ts';
import { waitFor } from './wait-for.ts';

/** One GET of a client, which holds its stream of notifications. */
export interface Stream {
	status: number;
	/** `open` from its first byte on: that is when the server has registered it. */
	state: 'opening' | 'open' | 'ended';
}

/** The official MCP client with a session over Streamable HTTP, which also records how its streams fare. */
export class McpClient extends RecordingClient {
	readonly streams: Stream[] = [];
	/** The id of the last event on its streams. */
	#lastEventId = '';
	#url: URL;
	#client: Client;
	#transport: StreamableHTTPClientTransport;

	/** @param url of the MCP server */
	constructor(name: string, url: URL, onNotification?: (notification: Notification) => void) {
		super(name, onNotification);
		this.#url = url;
		[this.#client, this.#transport] = this.#make();
	}

	/** The session, once connected. */
	get sessionId(): string {
		const { sessionId } = this.#transport;
		if (sessionId === undefined) throw new Error(`${this.name} has no session.`);
		return sessionId;
	}

	/** Initialise a session, and wait until its stream is open. */
	async connect(): Promise<this> {
		await this.#client.connect(this.#transport);
		await this.#streamOpened();
		return this;
	}

	/** Go away as a client does that loses its network: the stream breaks off, the session stays. */
	drop(): Promise<void> {
		return this.#client.close();
	}

	/** Come back to the session after {@link drop}, for all since the last event. Fails where the server refuses the stream. */
	async reconnect(): Promise<void> {
		[this.#client, this.#transport] = this.#make(this.sessionId);
		await this.#client.connect(this.#transport);
		await this.#transport.resumeStream(this.#lastEventId);
		await this.#streamOpened();
	}

	/** End the session with HTTP DELETE, and wait until the stream has ended. */
	async terminate(): Promise<void> {
		await this.#transport.terminateSession();
		await this.streamEnded();
		await this.#client.close();
	}

	/** Wait until the server has ended the stream. */
	async streamEnded(): Promise<void> {
		const what = `the stream of ${this.name} to end`;
		await waitFor(what, LIMIT_MS, () => this.streams.at(-1)?.state === 'ended');
	}

	async subscribe(uri: string): Promise<void> {
		await this.#client.subscribeResource({ uri });
	}

	/** Call a tool. @returns the text that it answers */
	async call(tool: string, args: Record<string, unknown> = {}): Promise<string> {
		const { content } = await this.#client.callTool({ name: tool, arguments: args });
		const [first] = Array.isArray(content) ? content : [];
		return first?.type === 'text' ? first.text : '';
	}

	/** Read a resource. @returns its text */
	async read(uri: string): Promise<string> {
		const { contents } = await this.#client.readResource({ uri });
		const [first] = contents;
		return first && 'text' in first ? first.text : '';
	}

	#make(sessionId?: string): [Client, StreamableHTTPClientTransport] {
		const client = new Client({ name: this.name, version: '1.0.0' });
		client.fallbackNotificationHandler = async (notification) => this.record(notification);
		const transport = new StreamableHTTPClientTransport(this.#url, {
			...(sessionId === undefined ? {} : { sessionId }),
			fetch: (url, init) => this.#fetch(url, init),
			// It comes back when it is told to, so that what is observed is one stream and not its repair.
			reconnectionOptions: {
				maxRetries: 0,
				initialReconnectionDelay: 0,
				maxReconnectionDelay: 0,
				reconnectionDelayGrowFactor: 1,
			},
		});
		return [client, transport];
	}

	async #fetch(url: string | URL, init?: RequestInit): Promise<Response> {
		const response = await fetch(url, init);
		if (init?.method !== 'GET') return response;
		const stream: Stream = { status: response.status, state: 'opening' };
		this.streams.push(stream);
		const decoder = new TextDecoder();
		let text = '';
		const readIds = (chunk: Uint8Array) => {
			text += decoder.decode(chunk, { stream: true });
			const events = text.split('\n\n');
			text = events.pop() ?? '';
			for (const event of events) {
				this.#lastEventId = /^id: (.*)$/m.exec(event)?.[1] ?? this.#lastEventId;
			}
		};
		const body = response.body?.pipeThrough(
			new TransformStream<Uint8Array, Uint8Array>({
				transform(chunk, controller) {
					stream.state = 'open';
					readIds(chunk);
					controller.enqueue(chunk);
				},
				flush() {
					stream.state = 'ended';
				},
			}),
		);
		return new Response(body ?? null, response);
	}

	async #streamOpened(): Promise<void> {
		const what = `the stream of ${this.name} to open`;
		await waitFor(what, LIMIT_MS, () => this.streams.at(-1)?.state === 'open');
	}
}
