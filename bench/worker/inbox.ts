const COLON = ':'.charCodeAt(0);
const LIMIT_MS = 120_000;

/** Reads the streams as clients would, and counts what comes. */
export class Inbox {
	/** Events on all streams; keep-alive comments are none. */
	#received = 0;
	/** Streams that have ended. */
	#ended = 0;
	#waiter: { isDone: () => boolean; done: () => void } | undefined;

	get received(): number {
		return this.#received;
	}

	get ended(): number {
		return this.#ended;
	}

	/** @returns how its client goes away */
	open(stream: ReadableStream<Uint8Array>): () => Promise<void> {
		const reader = stream.getReader();
		void this.#read(reader);
		return () => reader.cancel();
	}

	/** @throws where so many events have not come in two minutes */
	untilReceived(count: number): Promise<void> {
		return this.#until(`event ${count}`, () => this.#received >= count);
	}

	/** @throws where so many streams have not ended in two minutes */
	untilEnded(count: number): Promise<void> {
		return this.#until(`end ${count}`, () => this.#ended >= count);
	}

	async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			if (value[0] !== COLON) this.#received++;
			this.#look();
		}
		this.#ended++;
		this.#look();
	}

	#look(): void {
		if (this.#waiter?.isDone()) this.#waiter.done();
	}

	async #until(what: string, isDone: () => boolean): Promise<void> {
		if (isDone()) return;
		let stopTimer = () => {};
		await new Promise<void>((resolve, reject) => {
			const counts = () => `${this.#received} received, ${this.#ended} ended`;
			const fail = () => reject(new Error(`${what} did not come (${counts()}).`));
			const timer = setTimeout(fail, LIMIT_MS);
			stopTimer = () => clearTimeout(timer);
			this.#waiter = { isDone, done: resolve };
		});
		this.#waiter = undefined;
		stopTimer();
	}
}
