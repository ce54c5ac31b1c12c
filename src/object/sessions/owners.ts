import { Recent } from '../recent.ts';

/** How long an owner with no room is remembered, in milliseconds, so that a flood of calls does not look at each session. */
const FULL_MEMORY_MS = 10_000;

/**
 * Which sessions each owner has: one row for an owner, changed where a session begins and nowhere else. What has ended
 * or expired since stays in the row until the owner has no room; only then are its sessions looked at, so that beginning
 * one costs the same however many there are.
 *
 * The gateway names an owner by a hash, the account.
 */
export class Owners {
	#sql: SqlStorage;
	#full = new Recent<true>(FULL_MEMORY_MS);
	/** Which of these sessions are alive. */
	#alive: (sessions: readonly string[]) => string[];

	constructor(sql: SqlStorage, alive: (sessions: readonly string[]) => string[]) {
		this.#sql = sql;
		this.#alive = alive;
	}

	/**
	 * Whether an owner may have one more session.
	 * @returns all that it has then, to be stored with {@link put}; `undefined` where there is no room
	 */
	withOneMore(account: string, session: string, max: number): string[] | undefined {
		if (this.#full.get(account)) return undefined;
		let others = this.sessionsOf(account).filter((other) => other !== session);
		if (others.length >= max) others = this.#alive(others);
		if (others.length < max) return [...others, session];
		this.#full.set(account, true);
		return undefined;
	}

	/** @param checkAt when to look whether any of the sessions is still alive, in milliseconds since 1970 */
	put(account: string, sessions: readonly string[], checkAt: number): void {
		this.#sql.exec(
			'INSERT OR REPLACE INTO tmcp_owners (account, check_at, sessions) VALUES (?, ?, ?)',
			account,
			checkAt,
			sessions.join('\n'),
		);
	}

	/** Its sessions, with some that have ended or expired. */
	sessionsOf(account: string): string[] {
		const [row] = this.#sql
			.exec<{ sessions: string }>('SELECT sessions FROM tmcp_owners WHERE account = ?', account)
			.toArray();
		return row ? row.sessions.split('\n') : [];
	}

	/** A session has ended: its owner may have room. */
	ended(): void {
		this.#full = new Recent(FULL_MEMORY_MS);
	}

	/**
	 * Forget the owners none of whose sessions is alive. Reads every row: for the alarm.
	 * @returns when to do that next, in milliseconds since 1970; `undefined` where there is no owner
	 */
	purge(now: number, nextCheckAt: number): number | undefined {
		let next: number | undefined;
		const rows = this.#sql.exec<{ account: string; check_at: number }>(
			'SELECT account, check_at FROM tmcp_owners',
		);
		for (const { account, check_at } of rows.toArray()) {
			const alive = check_at > now ? undefined : this.#alive(this.sessionsOf(account));
			if (alive?.length === 0) {
				this.#sql.exec('DELETE FROM tmcp_owners WHERE account = ?', account);
				continue;
			}
			if (alive) this.put(account, alive, nextCheckAt);
			next = Math.min(next ?? Infinity, alive ? nextCheckAt : check_at);
		}
		return next;
	}
}
