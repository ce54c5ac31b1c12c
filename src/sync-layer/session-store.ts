/** What an object knows of a session beside its socket. */
export interface KnownSession {
	/** The connection that claimed the session's stream last. */
	connectionId: string;
	/** The newest event when it was seen first: what was sent to all before is not for it. */
	since: number;
	/** Up to which event it was served; `undefined` while it is being served. */
	position: number | undefined;
}

/**
 * The sessions that have had a stream, and how far each was served: a row each. While a stream is open its row is not
 * touched, whatever is sent.
 */
export class SessionStore {
	#sql: SqlStorage;

	constructor(sql: SqlStorage) {
		this.#sql = sql;
	}

	get(session: string): KnownSession | undefined {
		const [row] = this.#sql
			.exec<{ connection_id: string; since: number; position: number | null }>(
				'SELECT connection_id, since, position FROM tmcp_sessions WHERE session_id = ?',
				session,
			)
			.toArray();
		return (
			row && {
				connectionId: row.connection_id,
				since: row.since,
				position: row.position ?? undefined,
			}
		);
	}

	/** A connection serves the session from now on. @param since for a session that is new */
	open(session: string, connectionId: string, since: number, now: number): void {
		this.#sql.exec(
			`INSERT INTO tmcp_sessions (session_id, connection_id, since, at) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET connection_id = excluded.connection_id, position = NULL, at = excluded.at`,
			session,
			connectionId,
			since,
			now,
		);
	}

	/** The connection is gone, having served the session up to a place. Another one that took over is left alone. */
	close(session: string, connectionId: string, position: number, now: number): void {
		this.#sql.exec(
			'UPDATE tmcp_sessions SET position = MIN(?, IFNULL(position, ?1)), at = ? WHERE session_id = ? AND connection_id = ?',
			position,
			now,
			session,
			connectionId,
		);
	}

	/** All connections are gone with an instance of the object that was not told of their end. */
	closeAll(position: number, now: number): void {
		this.#sql.exec(
			'UPDATE tmcp_sessions SET position = ?, at = ? WHERE position IS NULL',
			position,
			now,
		);
	}

	delete(session: string): void {
		this.#sql.exec('DELETE FROM tmcp_sessions WHERE session_id = ?', session);
	}

	/** How many have no connection. */
	get waiting(): number {
		return this.#sql
			.exec<{ n: number }>('SELECT COUNT(*) AS n FROM tmcp_sessions WHERE position IS NOT NULL')
			.one().n;
	}

	/** Forget those that have had no connection for as long as an event is kept. */
	purge(before: number): void {
		this.#sql.exec('DELETE FROM tmcp_sessions WHERE position IS NOT NULL AND at <= ?', before);
	}

	/** Since when the one that waits longest does, in milliseconds since 1970. */
	get oldest(): number | undefined {
		const { at } = this.#sql
			.exec<{ at: number | null }>(
				'SELECT MIN(at) AS at FROM tmcp_sessions WHERE position IS NOT NULL',
			)
			.one();
		return at ?? undefined;
	}
}
