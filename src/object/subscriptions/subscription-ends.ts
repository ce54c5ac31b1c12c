import type {
	SubscriptionEnd,
	SubscriptionInput,
	SubscriptionTarget,
} from '../../wire/arguments.ts';

/** How long an end is kept, in milliseconds: longer than the longest pause before a connection comes back. */
export const END_TTL_MS = 10 * 60_000;

/**
 * By how much the times of ends may be ahead of the clock, in milliseconds: they are unique, so a flood of ends runs ahead
 * of it. After a wake, when the newest time is not known, they begin at this distance.
 */
const MAX_LEAD_MS = 60_000;

/** What was ended: the subscriptions of an owner, or what {@link SubscriptionTarget} names. */
export type EndedTarget = SubscriptionTarget | { account: string };

type End = { at: number; reason: SubscriptionEnd };

/**
 * The ends of subscriptions that were not told to a socket, because the subscription had none: it may have been between
 * two. It is told when it comes back. One row for each target, so that they outlast the object's sleep, and so that who
 * comes back reads its own only; a class without SQLite keeps them in memory.
 */
export class SubscriptionEnds {
	#sql: SqlStorage | undefined;
	/** By target. */
	#memory = new Map<string, End>();
	/** The newest time, in milliseconds since 1970. */
	#newest: number | undefined;

	constructor(sql: SqlStorage | undefined) {
		this.#sql = sql;
	}

	/** A subscription begins: only an end after the time that this returns is meant for it. */
	beginning(now: number): number {
		return (this.#newest = Math.max(now, this.#newest ?? now + MAX_LEAD_MS));
	}

	note(target: EndedTarget, reason: SubscriptionEnd, now: number): void {
		const at = this.beginning(now) + 1;
		this.#newest = at;
		const key = JSON.stringify(target);
		if (!this.#sql) this.#memory.set(key, { at, reason });
		else {
			this.#sql.exec(
				'INSERT OR REPLACE INTO tmcp_subscription_ends (target, at, reason) VALUES (?, ?, ?)',
				key,
				at,
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
		const keys = targets.map((target) => JSON.stringify(target));
		const ends: End[] = this.#sql
			? this.#sql
					.exec<End>(
						'SELECT at, reason FROM tmcp_subscription_ends WHERE target IN (SELECT value FROM json_each(?))',
						JSON.stringify(keys),
					)
					.toArray()
			: keys.flatMap((key) => this.#memory.get(key) ?? []);
		const [first] = ends.filter(({ at }) => at > began).toSorted((a, b) => a.at - b.at);
		return first?.reason;
	}

	/** @returns when to do it again, in milliseconds since 1970; `undefined` where nothing is left */
	purge(now: number): number | undefined {
		for (const [key, { at }] of this.#memory) if (at <= now - END_TTL_MS) this.#memory.delete(key);
		if (!this.#sql) return undefined;
		this.#sql.exec('DELETE FROM tmcp_subscription_ends WHERE at <= ?', now - END_TTL_MS);
		const isLeft = this.#sql.exec('SELECT 1 FROM tmcp_subscription_ends LIMIT 1').toArray().length;
		return isLeft > 0 ? now + END_TTL_MS : undefined;
	}
}
