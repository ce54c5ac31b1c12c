import { Recent } from '../recent.ts';

/** For how many sessions room is reserved with one row. */
const STEP = 64;

/** How often sessions are counted one by one where the object seems to be full, in milliseconds. */
const COUNT_PAUSE_MS = 10_000;

/**
 * How many sessions the object knows: one row for {@link STEP} of them, not one for each. The number that is stored has
 * room reserved ahead, and how much of that is used stands in memory: so it is never too low, and too high by what was
 * left of a step each time that the object went to sleep. Where it says that the object is full, the sessions are counted.
 */
export class SessionCount {
	#sql: SqlStorage;
	/** As it is stored; `undefined` until it was read. */
	#reserved: number | undefined;
	/** How much of that is not used. */
	#free = 0;
	#begun = 0;
	#counted = new Recent<true>(COUNT_PAUSE_MS);

	constructor(sql: SqlStorage) {
		this.#sql = sql;
	}

	/**
	 * Take room for a session that is about to get its row; if it does not get one, that does no harm. Sessions that are not
	 * begun in this way, and those that are gone, are noticed where the object is full, and by {@link correct}.
	 *
	 * Writes a row for the first one after a wake and for every 64th, and reads one after a wake. In an object that seems to
	 * be full it reads a row for each session, at most once in ten seconds.
	 * @returns whether there were fewer than `max`, with those that have ended
	 */
	takeOne(max: number): boolean {
		if (this.#free === 0) this.#reserve(max);
		if (this.#free === 0) return false;
		this.#free--;
		this.#begun++;
		return true;
	}

	/** How many there are at most: 63 too many for each wake since they were counted one by one. Reads a row after a wake. */
	get known(): number {
		return this.#stored() - this.#free;
	}

	/** How many have taken room since the object woke. */
	get begun(): number {
		return this.#begun;
	}

	/** The sessions were counted. Writes a row where another number is stored. */
	correct(known: number): void {
		this.#free = 0;
		if (known !== this.#stored()) this.#store(known);
	}

	#reserve(max: number): void {
		let known = this.#stored();
		if (known >= max) {
			if (this.#counted.get('all')) return;
			this.#counted.set('all', true);
			known = this.#sql.exec<{ n: number }>('SELECT COUNT(*) AS n FROM tmcp_sessions').one().n;
			if (known >= max) return;
		}
		const room = Math.min(STEP, max - known);
		this.#store(known + room);
		this.#free = room;
	}

	#stored(): number {
		return (this.#reserved ??= this.#sql
			.exec<{ n: number }>('SELECT n FROM tmcp_session_count')
			.one().n);
	}

	#store(known: number): void {
		this.#sql.exec('UPDATE tmcp_session_count SET n = ?', known);
		this.#reserved = known;
	}
}
