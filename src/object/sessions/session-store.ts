import { PARTS } from '../alarm.ts';

/** What an object knows of a session beside its socket. */
export interface KnownSession {
	/** The connection that claimed the session's stream last; `undefined` until its first one. */
	connectionId: string | undefined;
	/** The newest event when the session began, if that is known: what was sent to all before is not for it. */
	since: number | undefined;
	/** The place after which that connection was served, on the first of its sockets. */
	started: number | undefined;
	/** Up to which event it was served; `undefined` while it is being served. */
	position: number | undefined;
	/** When that was, or when it showed last that it lives, in milliseconds since 1970. */
	at: number;
}

/** Before the name of a connection that is not to come back. No connection's name begins with it. */
const DISMISSED = '-';

/**
 * The sessions that are known, and how far each was served: a row each. While a stream is open its row is not touched,
 * whatever is sent.
 */
export class SessionStore {
	#sql: SqlStorage;
	#ttlMs: number;
	/** Counted when it is asked for, and kept up from then on. */
	#waiting: number | undefined;

	/** @param ttlMs how long a session without a stream is known, in milliseconds */
	constructor(sql: SqlStorage, ttlMs: number) {
		this.#sql = sql;
		this.#ttlMs = ttlMs;
	}

	get(session: string): KnownSession | undefined {
		const [row] = this.#sql
			.exec<{
				connection_id: string | null;
				since: number | null;
				started: number | null;
				position: number | null;
				at: number;
			}>(
				'SELECT connection_id, since, started, position, at FROM tmcp_sessions WHERE session_id = ?',
				session,
			)
			.toArray();
		return (
			row && {
				connectionId: row.connection_id ?? undefined,
				since: row.since ?? undefined,
				started: row.started ?? undefined,
				position: row.position ?? undefined,
				at: row.at,
			}
		);
	}

	/**
	 * A session is heard of that has had no stream yet; one that is known is left alone.
	 * @param since the newest event when it began, if that is known
	 * @param position the newest event that it can do without
	 */
	note(session: string, since: number | undefined, position: number, now: number): void {
		const { rowsWritten } = this.#sql.exec(
			'INSERT OR IGNORE INTO tmcp_sessions (session_id, since, position, at) VALUES (?, ?, ?, ?)',
			session,
			since ?? null,
			position,
			now,
		);
		if (rowsWritten > 0) this.#count(1);
	}

	/**
	 * A connection serves the session from now on, after the place `started`.
	 * @param since for a session of which it is not known
	 */
	open(session: string, connectionId: string, started: number, since: number, now: number): void {
		const known = this.get(session);
		this.#sql.exec(
			`INSERT INTO tmcp_sessions (session_id, connection_id, started, since, at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET connection_id = excluded.connection_id,
			started = CASE connection_id WHEN excluded.connection_id THEN MIN(started, excluded.started) ELSE excluded.started END,
			since = IFNULL(since, excluded.since), position = NULL, at = excluded.at`,
			session,
			connectionId,
			started,
			since,
			now,
		);
		if (known?.position !== undefined) this.#count(-1);
	}

	/**
	 * The connection is gone, having served the session up to a place, or further back than was said before. Another one
	 * that took over is left alone.
	 */
	close(session: string, connectionId: string, position: number, now: number): void {
		const known = this.get(session);
		const { rowsWritten } = this.#sql.exec(
			`UPDATE tmcp_sessions SET position = MAX(?1, started), at = ?2
			WHERE session_id = ?3 AND connection_id IN (?4, ?5) AND (position IS NULL OR position > MAX(?1, started))`,
			position,
			now,
			session,
			connectionId,
			DISMISSED + connectionId,
		);
		if (rowsWritten > 0 && known?.position === undefined) this.#count(1);
	}

	/** The connection that served the session is not to come back. */
	dismiss(session: string): void {
		this.#sql.exec(
			`UPDATE tmcp_sessions SET connection_id = ?1 || connection_id
			WHERE session_id = ?2 AND connection_id NOT LIKE ?1 || '%'`,
			DISMISSED,
			session,
		);
	}

	/** A sign of life of a session that has no stream. It is written only where the last one that was is old enough. */
	touch(session: string, now: number): void {
		this.#sql.exec(
			'UPDATE tmcp_sessions SET at = ? WHERE session_id = ? AND position IS NOT NULL AND at <= ?',
			now,
			session,
			now - this.#ttlMs / PARTS,
		);
	}

	/**
	 * All connections are gone with an instance of the object that was not told of their end.
	 * @returns whether there were any
	 */
	closeAll(position: number, now: number): boolean {
		const { rowsWritten } = this.#sql.exec(
			'UPDATE tmcp_sessions SET position = ?, at = ? WHERE (position IS NULL) = 1',
			position,
			now,
		);
		this.reload();
		return rowsWritten > 0;
	}

	/** Forget all. */
	static clear(sql: SqlStorage): void {
		sql.exec('DELETE FROM tmcp_sessions');
	}

	delete(session: string): void {
		const known = this.get(session);
		this.#sql.exec('DELETE FROM tmcp_sessions WHERE session_id = ?', session);
		if (known?.position !== undefined) this.#count(-1);
	}

	/** What is stored was changed by somebody else. */
	reload(): void {
		this.#waiting = undefined;
	}

	/** How many have no connection. */
	get waiting(): number {
		this.#waiting ??= this.#sql
			.exec<{ n: number }>('SELECT COUNT(*) AS n FROM tmcp_sessions WHERE (position IS NULL) = 0')
			.one().n;
		return this.#waiting;
	}

	/** Forget those that have had no connection for too long. */
	purge(now: number): void {
		this.#sql.exec(
			'DELETE FROM tmcp_sessions WHERE (position IS NULL) = 0 AND at <= ?',
			now - this.#keptMs,
		);
		this.reload();
	}

	/** Whether a session may be forgotten until then, if nothing is heard of it. */
	isForgottenBy({ position, at }: KnownSession, time: number): boolean {
		return position !== undefined && at + this.#keptMs <= time;
	}

	/** When the next one is to be forgotten, in milliseconds since 1970; `undefined` where there is none. */
	get nextPurge(): number | undefined {
		const { at } = this.#sql
			.exec<{ at: number | null }>(
				'SELECT MIN(at) AS at FROM tmcp_sessions WHERE (position IS NULL) = 0',
			)
			.one();
		return at === null ? undefined : at + this.#keptMs + this.#ttlMs / PARTS;
	}

	/** By the last sign of life that may not have been written. */
	get #keptMs(): number {
		return this.#ttlMs + this.#ttlMs / PARTS;
	}

	#count(change: number): void {
		if (this.#waiting !== undefined) this.#waiting += change;
	}
}
