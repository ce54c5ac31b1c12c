import { END_TTL_MS } from './subscriptions/subscription-ends.ts';

/** How often it is looked whether something still lives in an object where something did, in milliseconds. */
const LOOK_PAUSE_MS = 60_000;

const SINCE_KEY = 'tmcp:vacant_since';

/**
 * For how long nothing has lived in the object. A listen stream that is between two sockets leaves no trace, nor does a
 * session's stream without a log: the object counts as vacant once such a one must have come back.
 */
export class Vacancy {
	#kv: SyncKvStorage;
	/** When something was found to live there, in milliseconds since 1970. */
	#occupiedAt = 0;
	/** In milliseconds since 1970; `null` where it is not known yet. */
	#since: number | undefined | null = null;

	constructor(kv: SyncKvStorage) {
		this.#kv = kv;
	}

	/** Whether to look: where something lived there a moment ago, that is not asked again at once. */
	isDue(now: number): boolean {
		return now >= this.#occupiedAt + LOOK_PAUSE_MS;
	}

	/** Something lives there. */
	isNot(now: number): false {
		this.#occupiedAt = now;
		return false;
	}

	/** Nothing lives there at this moment. @returns whether that is so for good */
	hasLasted(now: number): boolean {
		const since = this.#read();
		if (since !== undefined) return since < now - END_TTL_MS;
		this.#kv.put(SINCE_KEY, now);
		this.#since = now;
		return false;
	}

	/** Something begins that leaves no trace. */
	end(): void {
		if (this.#read() === undefined) return;
		this.#kv.delete(SINCE_KEY);
		this.#since = undefined;
	}

	#read(): number | undefined {
		if (this.#since === null) this.#since = this.#kv.get<number>(SINCE_KEY);
		return this.#since;
	}
}
