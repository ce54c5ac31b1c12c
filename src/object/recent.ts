/** What happened not long ago, by name. It is forgotten by itself, and with the instance. */
export class Recent<Value> {
	#memoryMs: number;
	/** In the order of time. */
	#entries = new Map<string, { until: number; value: Value }>();

	/** @param memoryMs how long it is remembered, in milliseconds */
	constructor(memoryMs: number) {
		this.#memoryMs = memoryMs;
	}

	get(name: string): Value | undefined {
		this.#forgetOld();
		return this.#entries.get(name)?.value;
	}

	set(name: string, value: Value): void {
		this.#forgetOld();
		this.#entries.delete(name);
		this.#entries.set(name, { until: Date.now() + this.#memoryMs, value });
	}

	#forgetOld(): void {
		const now = Date.now();
		for (const [name, { until }] of this.#entries) {
			if (until > now) return;
			this.#entries.delete(name);
		}
	}
}
