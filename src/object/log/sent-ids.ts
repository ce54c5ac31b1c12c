import { Recent } from '../recent.ts';
import { SENT_ID_TTL_MS } from './event-log.ts';

/** The ids of what was sent within a minute, so that a retry is sent once. */
export class SentIds {
	#recent: Recent<true> | undefined;
	#readStored: () => readonly string[];

	/** @param readStored the ids of what an earlier instance sent, newest first; read when an id is asked for */
	constructor(readStored: () => readonly string[]) {
		this.#readStored = readStored;
	}

	has(id: string | undefined): boolean {
		return id !== undefined && this.#ids.get(id) === true;
	}

	add(id: string | undefined): void {
		if (id !== undefined) this.#ids.set(id, true);
	}

	get #ids(): Recent<true> {
		if (this.#recent) return this.#recent;
		this.#recent = new Recent(SENT_ID_TTL_MS);
		for (const id of this.#readStored()) this.#recent.set(id, true);
		return this.#recent;
	}
}
