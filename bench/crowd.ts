import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

/** Requests that are under way at once, where it is not a storm. */
const AT_ONCE = 50;

/** How long a client that was refused waits before it tries again, in milliseconds: between half of that and all of it. */
const RETRY_MS = 1_000;

/** How long anything that a crowd is waited for may take, in milliseconds. */
const LIMIT_MS = 180_000;

const SEND_PATH = '/send';

const PROTOCOL_VERSION = '2025-06-18';

const INITIALIZE = JSON.stringify({
	jsonrpc: '2.0',
	id: 1,
	method: 'initialize',
	params: {
		protocolVersion: PROTOCOL_VERSION,
		capabilities: {},
		clientInfo: { name: 'scale', version: '1.0.0' },
	},
});

/** A message is 200 bytes, as tmcp's transports write them. */
const MESSAGE_BYTES = 200;

function messageOf(number: number): string {
	const text = (data: string) =>
		`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { number, data } })}\n\n`;
	return text('x'.repeat(MESSAGE_BYTES - text('').length));
}

/** The MCP client of one session, with one stream on a TCP connection of its own. */
interface Client {
	session: string;
	lastEventId: string | undefined;
	/** Which of the servers it is a client of. */
	server: number;
	/** How often it has received each message. */
	received: number[];
	/** Settles when its stream has ended. */
	ended: Promise<void>;
}

/** Many clients, and what they have received. */
export class Crowd {
	/** How often a client that came back was not let in at once. */
	refused = 0;
	#urls: string[] = [];
	#agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
	#isClosed = false;
	#clients: Client[] = [];
	/** How many have received each message. */
	#reached: number[] = [];
	#waiter: { isDone: () => boolean; done: () => void } | undefined;

	/** @param ports where the servers listen, among which the clients are divided */
	at(ports: readonly number[]): this {
		this.#urls = ports.map((port) => `http://127.0.0.1:${port}`);
		return this;
	}

	/** Begin sessions, without streams yet. */
	async begin(count: number): Promise<void> {
		const servers = Array.from({ length: count }, (_, nth) => nth % this.#urls.length);
		await inParallel(servers, async (server) => {
			const { status, session, text } = await this.#post(server, '/mcp', INITIALIZE);
			if (status !== 200 || session === '') throw new Error(`initialize: ${status} ${text}`);
			const ended = Promise.resolve();
			this.#clients.push({ session, lastEventId: undefined, server, received: [], ended });
		});
	}

	/** Open the streams of all sessions. */
	async open(): Promise<void> {
		await inParallel(this.#clients, (client) => this.#open(client));
	}

	/** End all sessions, and the streams with them. */
	async end(): Promise<void> {
		await inParallel(this.#clients, ({ session, server }) =>
			this.#ask('DELETE', server, '/mcp', { 'mcp-session-id': session }),
		);
		await this.ended();
	}

	/** Until all streams have ended. */
	async ended(): Promise<void> {
		for (const { ended } of this.#clients) await ended;
	}

	/** All come back at once, and try again until they are let in. */
	async comeBack(): Promise<void> {
		await Promise.all(
			this.#clients.map(async (client) => {
				while (!this.#isClosed) {
					try {
						await this.#open(client);
						return;
					} catch {
						this.refused++;
						await wait(RETRY_MS * (0.5 + Math.random() / 2));
					}
				}
			}),
		);
	}

	/** Send to all, with one call of each server. */
	async send(number: number): Promise<void> {
		await Promise.all(
			this.#urls.map(async (_, server) => {
				const { status, text } = await this.#post(server, SEND_PATH, messageOf(number));
				if (status !== 200) throw new Error(`A message could not be sent: ${status} ${text}`);
			}),
		);
	}

	/** Until so many have a message, or everyone. */
	async untilReceived(number: number, count = this.#clients.length): Promise<void> {
		const isDone = () => (this.#reached[number] ?? 0) >= count;
		if (isDone()) return;
		await new Promise<void>((resolve, reject) => {
			const fail = () => {
				reject(new Error(`${this.#reached[number] ?? 0} have received message ${number}.`));
			};
			const timer = setTimeout(fail, LIMIT_MS);
			const done = () => {
				clearTimeout(timer);
				this.#waiter = undefined;
				resolve();
			};
			this.#waiter = { isDone, done };
		});
	}

	/** @throws where one of them has not received each of the first messages exactly once */
	assertWhole(messages: number): void {
		for (const { received } of this.#clients) {
			for (let number = 0; number < messages; number++) {
				if (received[number] === 1) continue;
				throw new Error(`A client has received message ${number} ${received[number] ?? 0} times.`);
			}
		}
	}

	/** Nobody tries anything again. */
	close(): void {
		this.#isClosed = true;
		this.#agent.destroy();
	}

	#post(server: number, path: string, body: string) {
		const headers = {
			'content-type': 'application/json',
			accept: 'application/json, text/event-stream',
		};
		return this.#ask('POST', server, path, headers, body);
	}

	#ask(
		method: string,
		server: number,
		path: string,
		headers: Record<string, string>,
		body?: string,
	): Promise<{ status: number; session: string; text: string }> {
		return new Promise((resolve, reject) => {
			// After a while without a request workerd closes a connection, maybe just when one is on its way.
			const agent = path === SEND_PATH ? (false as const) : this.#agent;
			const options = { agent, method, headers };
			const sent = request(`${this.#urls[server]}${path}`, options, (response) => {
				let text = '';
				response.setEncoding('utf8');
				response.on('data', (chunk: string) => (text += chunk));
				response.on('error', reject);
				response.on('end', () => {
					const session = String(response.headers['mcp-session-id'] ?? '');
					resolve({ status: response.statusCode ?? 0, session, text });
				});
			});
			sent.on('error', reject);
			sent.end(body);
		});
	}

	/** Resolves with the first event, which tells the client a position to come back to. */
	#open(client: Client): Promise<void> {
		return new Promise((resolve, reject) => {
			const headers = {
				accept: 'text/event-stream',
				'mcp-session-id': client.session,
				'mcp-protocol-version': PROTOCOL_VERSION,
				...(client.lastEventId !== undefined && { 'last-event-id': client.lastEventId }),
			};
			const sent = request(
				`${this.#urls[client.server]}/mcp`,
				{ agent: false, headers },
				(response) => {
					if (response.statusCode !== 200) {
						response.resume();
						reject(new Error(`GET: ${response.statusCode}`));
						return;
					}
					client.ended = new Promise((end) => response.on('close', end));
					this.#read(response, client, resolve);
				},
			);
			sent.on('error', reject);
			sent.on('close', () => reject(new Error('The connection was closed.')));
			sent.end();
		});
	}

	#read(response: IncomingMessage, client: Client, onEvent: () => void): void {
		let rest = '';
		response.on('error', () => {});
		response.setEncoding('utf8').on('data', (chunk: string) => {
			const events = (rest + chunk).split('\n\n');
			rest = events.pop() ?? '';
			for (const event of events) {
				const [, id] = /^id: (.*)$/m.exec(event) ?? [];
				if (id === undefined) continue;
				client.lastEventId = id;
				const [, number] = /"number":(\d+)/.exec(event) ?? [];
				if (number !== undefined) this.#note(client, Number(number));
				onEvent();
			}
		});
	}

	#note({ received }: Client, number: number): void {
		received[number] = (received[number] ?? 0) + 1;
		this.#reached[number] = (this.#reached[number] ?? 0) + 1;
		if (this.#waiter?.isDone()) this.#waiter.done();
	}
}

/** Never more than some at a time, and the next one starts as soon as one is done. */
async function inParallel<Item>(
	items: readonly Item[],
	work: (item: Item) => Promise<unknown>,
): Promise<void> {
	const rest = items.values();
	const lane = async () => {
		for (const item of rest) await work(item);
	};
	await Promise.all(Array.from({ length: AT_ONCE }, lane));
}
