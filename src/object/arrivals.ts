interface Waiter {
	key: string;
	/** In milliseconds since 1970. */
	until: number;
	resolve: (hasCome: boolean) => void;
}

/**
 * Waits for things to arrive, for the same longest time each. One timer serves all waits: an object has at most
 * 10,000 timers (workerd: "You have exceeded the number of active timeouts you may set"), and a timer for each upgrade was a
 * twentieth of what its stream cost.
 */
export class Arrivals {
	#limitMs: number;
	/** In the order in which they give up. */
	#waiters = new Set<Waiter>();
	#byKey = new Map<string, Set<Waiter>>();
	#timer: ReturnType<typeof setTimeout> | undefined;

	/** @param limitMs how long each waits, in milliseconds */
	constructor(limitMs: number) {
		this.#limitMs = limitMs;
	}

	/** @returns whether it has come in time */
	wait(key: string): Promise<boolean> {
		return new Promise((resolve) => {
			const waiter = { key, until: Date.now() + this.#limitMs, resolve };
			this.#waiters.add(waiter);
			this.#byKey.set(key, (this.#byKey.get(key) ?? new Set()).add(waiter));
			this.#timer ??= setTimeout(() => this.#giveUp(), this.#limitMs);
		});
	}

	/** Tell all who wait for it. */
	come(key: string): void {
		for (const waiter of this.#byKey.get(key) ?? []) this.#tell(waiter, true);
	}

	#tell(waiter: Waiter, hasCome: boolean): void {
		this.#waiters.delete(waiter);
		const others = this.#byKey.get(waiter.key);
		others?.delete(waiter);
		if (others?.size === 0) this.#byKey.delete(waiter.key);
		waiter.resolve(hasCome);
		if (this.#waiters.size > 0) return;
		clearTimeout(this.#timer);
		this.#timer = undefined;
	}

	#giveUp(): void {
		this.#timer = undefined;
		const now = Date.now();
		for (const waiter of this.#waiters) {
			if (waiter.until > now) {
				this.#timer = setTimeout(() => this.#giveUp(), waiter.until - now);
				return;
			}
			this.#tell(waiter, false);
		}
	}
}
