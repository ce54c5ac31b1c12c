import type { Received } from '../torture/verdict.ts';

/** What one session received. A long run has millions of these, so they are kept as plain numbers. */
export class Record implements Iterable<Received> {
	#log = '';
	#places: number[] = [];
	#messages: number[] = [];
	#forgotten = new Set<number>();

	get length(): number {
		return this.#messages.length;
	}

	/** @param id `<shard>.<epoch>.<place>` */
	add(id: string, message: number, isForgotten: boolean): void {
		const start = id.lastIndexOf('.') + 1;
		this.#log ||= id.slice(0, start);
		if (isForgotten) this.#forgotten.add(this.#messages.length);
		this.#places.push(Number(id.slice(start)));
		this.#messages.push(message);
	}

	*[Symbol.iterator](): Generator<Received & { place: number }> {
		for (const [index, message] of this.#messages.entries()) {
			const place = this.#places[index] ?? 0;
			const isForgotten = this.#forgotten.has(index);
			yield { id: `${this.#log}${place}`, place, message, isForgotten };
		}
	}
}
