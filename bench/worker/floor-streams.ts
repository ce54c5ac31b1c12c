import type { Streams } from './streams.ts';

/** What a floor's object is called with. */
export interface Floor extends Rpc.DurableObjectBranded {
	fetch(request: Request): Response | Promise<Response>;
	claim(id: string): void;
	end(id: string): void;
	has(id: string): boolean;
	broadcast(sessions: string[] | undefined, data: string): void;
}

/** The least that a Worker has to do for a floor's object. */
export class FloorStreams implements Streams {
	#namespace: DurableObjectNamespace<Floor>;
	#calls: 'upgrade' | 'claim and upgrade';
	#encoder = new TextEncoder();

	constructor(namespace: DurableObjectNamespace<Floor>, calls: 'upgrade' | 'claim and upgrade') {
		this.#namespace = namespace;
		this.#calls = calls;
	}

	async create(id: string, controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
		const stub = this.#stub;
		const upgrade = stub.fetch(`https://floor/?session_id=${id}`, {
			headers: { upgrade: 'websocket' },
		});
		if (this.#calls === 'claim and upgrade') await stub.claim(id);
		const { webSocket } = await upgrade;
		if (!webSocket) throw new Error('The floor gave no socket.');
		webSocket.addEventListener('message', ({ data }) => {
			controller.enqueue(this.#encoder.encode(String(data)));
		});
		webSocket.addEventListener('close', () => controller.close());
		webSocket.accept();
	}

	async delete(id: string): Promise<void> {
		await this.#stub.end(id);
	}

	async has(id: string): Promise<boolean> {
		return this.#stub.has(id);
	}

	async send(sessions: string[] | undefined, data: string): Promise<void> {
		await this.#stub.broadcast(sessions, data);
	}

	get #stub() {
		return this.#namespace.getByName('floor');
	}
}
