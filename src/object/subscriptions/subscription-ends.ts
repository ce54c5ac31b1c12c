import type {
	SubscriptionEnd,
	SubscriptionInput,
	SubscriptionTarget,
} from '../../wire/arguments.ts';

/** How long an end is kept, in milliseconds: longer than the longest pause before a connection comes back. */
export const END_TTL_MS = 10 * 60_000;

/** What was ended: the subscriptions of an owner, or what {@link SubscriptionTarget} names. */
export type EndedTarget = SubscriptionTarget | { account: string };

type End = { at: number; target: string; reason: SubscriptionEnd };

/**
 * The ends of subscriptions that were not told to a socket, because the subscription had none: it may have been between
 * two. It is told when it comes back. A row each, so that they outlast the object's sleep; a class without SQLite keeps
 * them in memory.
 */
export class SubscriptionEnds {
	#sql: SqlStorage | undefined;
	#memory: End[] = [];
	#newest: number | undefined;

	constructor(sql: SqlStorage | undefined) {
		this.#sql = sql;
	}

	/** A subscription begins: only an end after the time that this returns is meant for it. */
	beginning(now: number): number {
		return Math.max(now, this.#newestAt);
	}

	note(target: EndedTarget, reason: SubscriptionEnd, now: number): void {
		const at = Math.max(now, this.#newestAt + 1);
		this.#newest = at;
		const key = JSON.stringify(target);
		if (!this.#sql) this.#memory.push({ at, target: key, reason });
		else {
			this.#sql.exec(
				'INSERT INTO tmcp_subscription_ends (at, target, reason) VALUES (?, ?, ?)',
				at,
				key,
				reason,
			);
		}
	}

	/** How a subscription was ended since it began, if it was. @param account its owner's */
	endedSince(
		{ origin, id }: SubscriptionInput,
		account: string | undefined,
		began: number,
	): SubscriptionEnd | undefined {
		const targets: EndedTarget[] = [{ origin, id }, { origin }, {}];
		if (account !== undefined) targets.push({ account });
		const keys = new Set(targets.map((target) => JSON.stringify(target)));
		const ends: Iterable<End> = this.#sql
			? this.#sql.exec<End>(
					'SELECT at, target, reason FROM tmcp_subscription_ends WHERE at > ? ORDER BY at',
					began,
				)
			: this.#memory.filter(({ at }) => at > began);
		for (const { target, reason } of ends) if (keys.has(target)) return reason;
		return undefined;
	}

	/** @returns when the next one is to be deleted, in milliseconds since 1970; `undefined` where there is none */
	purge(now: number): number | undefined {
		this.#memory = this.#memory.filter(({ at }) => at > now - END_TTL_MS);
		this.#sql?.exec('DELETE FROM tmcp_subscription_ends WHERE at <= ?', now - END_TTL_MS);
		return this.#sql && this.#newestAt > now - END_TTL_MS ? this.#newestAt + END_TTL_MS : undefined;
	}

	/** Times of ends are unique, so that they have an order even where the clock stands still. */
	get #newestAt(): number {
		this.#newest ??=
			this.#sql
				?.exec<{ at: number | null }>('SELECT MAX(at) AS at FROM tmcp_subscription_ends')
				.one().at ?? 0;
		return this.#newest;
	}
}
