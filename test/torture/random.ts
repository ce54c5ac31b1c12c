/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Random {
	#state: number;

	/** @param seed 0 to 2^32 - 1 */
	constructor(seed: number) {
		this.#state = seed >>> 0;
	}

	/** From 0 to 1, without 1. */
	next(): number {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let t = this.#state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	}

	/** A whole number from 0 to `limit`, without `limit`. */
	below(limit: number): number {
		return Math.floor(this.next() * limit);
	}

	pick<T>(of: readonly [T, ...T[]]): T {
		return of[this.below(of.length)] ?? of[0];
	}

	uuid(): string {
		const hex = (digits: number) =>
			Array.from({ length: digits }, () => this.below(16).toString(16)).join('');
		return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`;
	}
}
