/** What a client reads from a `text/event-stream` response. */
export class EventStream {
	readonly events: string[] = [];
	readonly ids: string[] = [];
	/** The ids of events that have no data. */
	readonly places: string[] = [];
	readonly comments: string[] = [];
	/** All of it, as it came. */
	raw = '';
	/** Settles when the response ends; rejects when it breaks. */
	readonly ended: Promise<void>;
	#reader: ReadableStreamDefaultReader<Uint8Array>;
	#listeners = new Set<() => void>();
	#hasEnded = false;

	constructor(body: ReadableStream<Uint8Array> | null) {
		if (!body) throw new Error('The response has no body.');
		this.#reader = body.getReader();
		this.ended = this.#read();
		this.ended.catch(() => {});
	}

	/** The `data` of the events, parsed, once there are `count` of them. */
	async messages(count: number, limitMs = 3_000): Promise<unknown[]> {
		await this.until(() => this.events.length >= count, `${count} events`, limitMs);
		return this.events.map((data): unknown => JSON.parse(data));
	}

	/** Wait for something to be true of what was read. */
	async until(isTrue: () => boolean, what: string, limitMs = 3_000): Promise<void> {
		const limit = scheduler.wait(limitMs).then(() => {
			throw new Error(
				`Waited ${limitMs} ms for ${what}; got ${JSON.stringify(this.events)}${this.#hasEnded ? ', then the end' : ''}.`,
			);
		});
		while (!isTrue()) {
			let listener = () => {};
			const change = new Promise<void>((resolve) => (listener = resolve));
			this.#listeners.add(listener);
			await Promise.race([change, limit]);
			this.#listeners.delete(listener);
		}
		limit.catch(() => {});
	}

	/** Go away, as a client that closes its connection. */
	cancel(): Promise<void> {
		return this.#reader.cancel();
	}

	async #read(): Promise<void> {
		const decoder = new TextDecoder();
		let text = '';
		try {
			for (;;) {
				const { done, value } = await this.#reader.read();
				if (done) return;
				const chunk = decoder.decode(value, { stream: true });
				this.raw += chunk;
				text += chunk;
				const blocks = text.split('\n\n');
				text = blocks.pop() ?? '';
				for (const block of blocks) this.#take(block);
				this.#changed();
			}
		} finally {
			this.#hasEnded = true;
			this.#changed();
		}
	}

	#take(block: string): void {
		const field = (name: string) =>
			block
				.split('\n')
				.find((line) => line.startsWith(`${name}: `))
				?.slice(`${name}: `.length);
		const [id, data] = [field('id'), field('data')];
		if (block.startsWith(':')) this.comments.push(block);
		if (id !== undefined) (data === '' ? this.places : this.ids).push(id);
		if (data !== undefined && data !== '') this.events.push(data);
	}

	#changed(): void {
		for (const listener of this.#listeners) listener();
	}
}
