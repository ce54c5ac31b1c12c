import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { localUrlOf } from './local-url.ts';

/** The way between a client and a server, which can be cut: a TCP proxy on a free port of 127.0.0.1. */
export class Network {
	/** How many connections were tried while it was cut. */
	refused = 0;
	#server: Server;
	#isCut = false;
	#links: { client: Socket; upstream: Socket }[] = [];

	private constructor(target: URL) {
		this.#server = createServer((client) => {
			if (this.#isCut) {
				this.refused++;
				client.destroy();
				return;
			}
			this.#link(client, connect(Number(target.port), target.hostname));
		});
	}

	static async to(target: URL): Promise<Network> {
		const network = new Network(target);
		await once(network.#server.listen(0, '127.0.0.1'), 'listening');
		return network;
	}

	/** Where a client has to go instead of the server itself. */
	get url(): URL {
		return localUrlOf(this.#server);
	}

	/**
	 * Break every connection, and let no new one through until {@link restore}.
	 * @param what `unnoticed`: the server's side stays open, and what it writes reaches nobody
	 */
	cut(what: 'noticed' | 'unnoticed'): void {
		this.#isCut = true;
		for (const { client, upstream } of this.#links) {
			upstream.unpipe(client);
			upstream.resume();
			client.unpipe(upstream);
			client.destroy();
			if (what === 'noticed') upstream.destroy();
		}
	}

	restore(): void {
		this.#isCut = false;
	}

	async close(): Promise<void> {
		for (const link of this.#links) for (const socket of Object.values(link)) socket.destroy();
		this.#server.close();
		await once(this.#server, 'close');
	}

	#link(client: Socket, upstream: Socket): void {
		this.#links.push({ client, upstream });
		// It is the client's and the server's to say what a broken connection means.
		for (const socket of [client, upstream]) socket.on('error', () => {});
		client.pipe(upstream).pipe(client);
	}
}
