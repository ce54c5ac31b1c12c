import { setTimeout as wait } from 'node:timers/promises';
import type { Sent } from '../torture/verdict.ts';

/** What all parts of a run share. */
export class World {
	/** Where the server is, or will be again. */
	readonly url: URL;
	/** What was sent, by the number of the message. */
	readonly sent: Sent[] = [];
	/** `<shard>.<epoch>.` of all event ids: one log has one. */
	readonly logs = new Set<string>();
	/** How often each thing happened. */
	readonly counts: Record<string, number> = {};
	/** Aborted when the disturbances are over. */
	readonly calm: AbortSignal;
	/** The run has failed: nobody is to try anything again. */
	hasFailed = false;
	#clock = 0;

	constructor(url: URL, calm: AbortSignal) {
		this.url = url;
		this.calm = calm;
	}

	/** The next step of the clock by which the verdict orders things. */
	tick(): number {
		return ++this.#clock;
	}

	count(what: string, times = 1): void {
		this.counts[what] = (this.counts[what] ?? 0) + times;
	}

	get isCalm(): boolean {
		return this.calm.aborted;
	}

	/** Wait, but not longer than the disturbances last. */
	async disturbedFor(ms: number): Promise<void> {
		await wait(ms, undefined, { signal: this.calm }).catch(() => {});
	}
}
