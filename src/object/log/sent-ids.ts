import { Recent } from '../recent.ts';

/** How long the id of a broadcast is remembered, in milliseconds: a retry comes within seconds. */
const MEMORY_MS = 60_000;

/** The ids of what was sent, so that a retry is sent once. */
export class SentIds {
	#recent: Recent<true> | undefined;
	#newestFirst: () => Iterable<{ id: string | null; at: number }>;

	/** @param newestFirst what an earlier instance sent */
	constructor(newestFirst: () => Iterable<{ id: string | null; at: number }>) {
		this.#newestFirst = newestFirst;
	}

	has(id: string | undefined): boolean {
		return id !== undefined && this.#ids.get(id) === true;
	}

	add(id: string | undefined): void {
		if (id !== undefined) this.#ids.set(id, true);
	}

	get #ids(): Recent<true> {
		this.#recent ??= this.#read();
		return this.#recent;
	}

	#read(): Recent<true> {
		const recent = new Recent<true>(MEMORY_MS);
		for (const { id, at } of this.#newestFirst()) {
			if (at <= Date.now() - MEMORY_MS) break;
			if (id !== null) recent.set(id, true);
		}
		return recent;
	}
}
