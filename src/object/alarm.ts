/**
 * What gets old goes when another tenth of its time has passed, with all that is old by then: few wakes, not many. Signs of
 * life are written as rarely: once in a tenth of the time that they give.
 */
export const PARTS = 10;

/** What keeps things that get old. */
export interface Perishable {
	/** Delete what is too old. */
	purge(now: number): void;
	/** When to do that next, in milliseconds since 1970; `undefined` where nothing gets old. */
	readonly nextPurge: number | undefined;
}

/** Purges by the object's one alarm. There is none where nothing gets old, so that an idle object stays asleep. */
export class Housekeeper {
	#ctx: DurableObjectState;
	#keepers: () => Perishable[];
	#isScheduled = false;

	constructor(ctx: DurableObjectState, keepers: () => Perishable[]) {
		this.#ctx = ctx;
		this.#keepers = keepers;
	}

	/** Something is kept that gets old. However often it is said in one turn, it is seen to once. */
	schedule(): void {
		if (this.#isScheduled) return;
		this.#isScheduled = true;
		this.#ctx.waitUntil(this.#setAlarmNext());
	}

	/** Purge what is too old, and come back when more is. */
	purge(): Promise<void> {
		for (const keeper of this.#keepers()) keeper.purge(Date.now());
		return this.#setAlarm();
	}

	async #setAlarmNext(): Promise<void> {
		await Promise.resolve();
		this.#isScheduled = false;
		await this.#setAlarm();
	}

	async #setAlarm(): Promise<void> {
		const { storage } = this.#ctx;
		const times = this.#keepers().map(({ nextPurge }) => nextPurge);
		const next = Math.min(...times.filter((time) => time !== undefined));
		if (next < ((await storage.getAlarm()) ?? Infinity)) await storage.setAlarm(next);
	}
}
