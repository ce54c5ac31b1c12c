import { publishFailure } from '../diagnostics/failure.ts';
import { here } from './here.ts';

/** What has expired is deleted up to 10 % of its time to live late, in batches, to save wake-ups. */
export const LATENESS = 0.1;

/** What a subclass of `SyncLayer` uses for an alarm of its own, because an object has only one. @inline */
export interface OwnAlarm {
	/** When `onAlarm` is to be called, in milliseconds since 1970. Replaces an earlier time. */
	set(at: number): Promise<void>;
	/** The time that was set, or `undefined`. */
	get(): Promise<number | undefined>;
	delete(): Promise<void>;
}

const OWN_KEY = 'tmcp:own_alarm';

/** When the alarm of a subclass rings again that has failed, in milliseconds. */
const OWN_RETRY_MS = 60_000;

/** Keys that only a subclass with an alarm of its own has are looked up asynchronously: a class without SQLite has them too. */
export class Alarm {
	#ctx: DurableObjectState;
	/** When the alarm rings, as far as this instance knows; `undefined` until it has asked. */
	#setFor: number | undefined;

	constructor(ctx: DurableObjectState) {
		this.#ctx = ctx;
	}

	/** Wake up then, or earlier. Costs a write only where nothing is to be done before. */
	schedule(dueAt: number | undefined): void {
		if (dueAt === undefined || dueAt >= (this.#setFor ?? Infinity)) return;
		const isKnown = this.#setFor !== undefined;
		this.#setFor = dueAt;
		this.#ctx.waitUntil(isKnown ? this.#ctx.storage.setAlarm(dueAt) : this.#setIfEarlier(dueAt));
	}

	/** The alarm rang: nothing is set any more. */
	rang(): void {
		this.#setFor = undefined;
	}

	/** The alarm of a subclass. */
	readonly own: OwnAlarm = {
		set: async (at) => {
			await this.#ctx.storage.put(OWN_KEY, at);
			this.schedule(at);
		},
		get: () => this.#ctx.storage.get<number>(OWN_KEY),
		delete: async () => {
			await this.#ctx.storage.delete(OWN_KEY);
		},
	};

	/** Do what the alarm of a subclass is for, where its time has come. */
	async ringOwn(work: () => void | Promise<void>): Promise<void> {
		const at = await this.own.get();
		if (at === undefined) return;
		if (at > Date.now()) {
			this.schedule(at);
			return;
		}
		let failed = false;
		try {
			await work();
		} catch (error) {
			// Thrown on, it would be tried six times by the runtime, and then no alarm would ring at all.
			console.error(error);
			publishFailure(error, here(this.#ctx));
			failed = true;
		}
		// It may have set the next one.
		if ((await this.own.get()) !== at) return;
		if (failed) await this.own.set(Date.now() + OWN_RETRY_MS);
		else await this.own.delete();
	}

	async #setIfEarlier(dueAt: number): Promise<void> {
		const before = (await this.#ctx.storage.getAlarm()) ?? Infinity;
		// Something more urgent may have been scheduled meanwhile.
		const at = Math.min(dueAt, this.#setFor ?? dueAt);
		if (at < before) await this.#ctx.storage.setAlarm(at);
		else this.#setFor = before;
	}
}
