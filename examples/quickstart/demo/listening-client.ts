import {
	Client,
	type FetchLike,
	type McpSubscription,
	StreamableHTTPClientTransport,
	type SubscriptionFilter,
} from '@modelcontextprotocol/client';
import { type Notification, RecordingClient } from './recording-client.ts';

/** The official MCP client of revision 2026-07-28: it has no session, and listens to what it names. */
export class ListeningClient extends RecordingClient {
	#client: Client;
	#transport: StreamableHTTPClientTransport;

	/**
	 * @param url of the MCP server
	 * @param fetch how its requests are made
	 */
	constructor(
		name: string,
		url: URL,
		onNotification?: (notification: Notification) => void,
		fetch: FetchLike = globalThis.fetch,
	) {
		super(name, onNotification);
		this.#client = new Client(
			{ name, version: '1.0.0' },
			{ versionNegotiation: { mode: { pin: '2026-07-28' } } },
		);
		this.#client.fallbackNotificationHandler = async (notification) => this.record(notification);
		this.#transport = new StreamableHTTPClientTransport(url, { fetch });
	}

	/** Ask the server what it can do. Fails where it does not speak 2026-07-28. */
	async connect(): Promise<this> {
		await this.#client.connect(this.#transport);
		return this;
	}

	/** Open a stream, and wait until the server has acknowledged it. */
	listen(filter: SubscriptionFilter): Promise<McpSubscription> {
		return this.#client.listen(filter);
	}

	/** Call a tool. @returns the text that it answers */
	async call(tool: string, args: Record<string, unknown> = {}): Promise<string> {
		const { content } = await this.#client.callTool({ name: tool, arguments: args });
		const [first] = content;
		return first?.type === 'text' ? first.text : '';
	}

	/** Go away: every stream breaks off. */
	close(): Promise<void> {
		return this.#client.close();
	}
}
