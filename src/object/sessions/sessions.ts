import type { Glance, SessionRow } from './session-row.ts';

/** How many rows are remembered: a GET asks for the same one in `admit`, in `attach` and at its upgrade. */
const MAX_CACHED_ROWS = 1_000;

/** How many rows are looked at before other calls have their turn. */
const PURGE_PAGE = 1_000;

/** How many session ids one statement takes. */
const IDS_IN_A_STATEMENT = 5_000;

type Columns = Record<string, SqlStorageValue> & {
	session_id: string;
	state: SessionRow['state'];
	owner: string | null;
	since: number;
	expires_at: number;
	info: string | null;
	connection_id: string | null;
	started: number | null;
	position: number | null;
	repeat_until: number | null;
	begun_at: number | null;
};

const GLANCE = 'session_id, state, owner, expires_at';

type GlanceColumns = Pick<Columns, 'session_id' | 'state' | 'owner' | 'expires_at'>;

/**
 * The table of sessions: one row each. It has no index beside its key, so that a change writes exactly one row; what has
 * expired is found by reading all rows, in the alarm only, and at most as often as something expires.
 */
export class Sessions {
	/** `undefined` for a class without SQLite, which remembers ended sessions in memory. */
	#sql: SqlStorage | undefined;
	/** Rows as they are stored; `undefined` for a session that has none. */
	#cache = new Map<string, SessionRow | undefined>();

	constructor(sql: SqlStorage | undefined) {
		this.#sql = sql;
	}

	get(session: string): SessionRow | undefined {
		if (this.#cache.has(session) || !this.#sql) return this.#cache.get(session);
		const [columns] = this.#sql
			.exec<Columns>('SELECT * FROM tmcp_sessions WHERE session_id = ?', session)
			.toArray();
		const row = columns && rowOf(columns);
		this.#remember(session, row);
		return row;
	}

	/** A glance at many sessions, in one statement. */
	getAll(sessions: readonly string[]): Map<string, Glance> {
		const rows = new Map<string, Glance>();
		const [first] = sessions;
		if (first === undefined) return rows;
		if (sessions.length === 1 || !this.#sql) {
			for (const session of sessions) {
				const row = this.get(session);
				if (row) rows.set(session, row);
			}
			return rows;
		}
		for (const ids of pagesOf(sessions)) {
			const found = this.#sql.exec<GlanceColumns>(
				`SELECT ${GLANCE} FROM tmcp_sessions WHERE session_id IN (SELECT value FROM json_each(?))`,
				ids,
			);
			for (const columns of found) rows.set(columns.session_id, glanceOf(columns));
		}
		return rows;
	}

	/**
	 * Writes nothing where the row is the one that is stored. When its session began is kept in the table only, and anew where
	 * the row before is that of an earlier session of the same id.
	 */
	put(row: SessionRow): void {
		if (this.#cache.get(row.sessionId) === row) return;
		const served = 'connectionId' in row ? row : undefined;
		this.#sql?.exec(
			`INSERT INTO tmcp_sessions
			(session_id, state, owner, since, expires_at, info, connection_id, started, position, repeat_until, begun_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET begun_at = CASE WHEN (state = 'ended' AND excluded.state <> 'ended')
			OR (expires_at <= excluded.begun_at AND excluded.state = 'begun') THEN excluded.begun_at ELSE begun_at END,
			state = excluded.state, owner = excluded.owner, since = excluded.since,
			expires_at = excluded.expires_at, info = excluded.info, connection_id = excluded.connection_id, started = excluded.started,
			position = excluded.position, repeat_until = excluded.repeat_until`,
			row.sessionId,
			row.state,
			row.owner ?? null,
			row.since,
			row.expiresAt,
			row.info ?? null,
			served?.connectionId ?? null,
			served?.started ?? null,
			served?.position ?? null,
			served?.repeatUntil ?? null,
			Date.now(),
		);
		this.#remember(row.sessionId, row);
	}

	/**
	 * Count a session that is about to get its row. Those that were not counted so, and those that are gone, are noticed by
	 * the next {@link purge}. Reads and writes one row.
	 * @returns whether there is room for it: there were fewer than `max`, with those that have ended
	 */
	countOne(max: number): boolean {
		const counting = 'UPDATE tmcp_session_count SET n = n + 1 WHERE n < ?';
		return this.#sql?.exec(counting, max).rowsWritten === 1;
	}

	/** Sessions that a broadcast names for the first time, in one statement. */
	beginAll(sessions: readonly string[], since: number, expiresAt: number): void {
		for (const ids of pagesOf(sessions)) {
			this.#sql?.exec(
				`INSERT OR IGNORE INTO tmcp_sessions (session_id, state, since, expires_at, begun_at)
				SELECT value, 'begun', ?, ?, ? FROM json_each(?)`,
				since,
				expiresAt,
				Date.now(),
				ids,
			);
		}
		for (const session of sessions) this.#cache.delete(session);
	}

	delete(session: string): void {
		if (this.get(session) === undefined) return;
		this.#sql?.exec('DELETE FROM tmcp_sessions WHERE session_id = ?', session);
		this.#remember(session, undefined);
	}

	/** The first `limit` rows after a session, in the order of ids, that are `wanted`. */
	page(after: string, limit: number, wanted: (row: SessionRow) => boolean): SessionRow[] {
		const page: SessionRow[] = [];
		const columns = this.#sql?.exec<Columns>(
			"SELECT * FROM tmcp_sessions WHERE session_id > ? AND state <> 'ended' ORDER BY session_id",
			after,
		);
		for (const of of columns ?? []) {
			const row = rowOf(of);
			if (wanted(row)) page.push(row);
			if (page.length === limit) break;
		}
		return page;
	}

	/**
	 * The sessions after one, in the order of ids, of at most `scanned` rows: a table of rows that are not wanted is not read
	 * to its end.
	 * @returns `last`: the last id that was looked at, where there may be more
	 */
	scan(
		after: string,
		limit: number,
		scanned: number,
		wanted: (row: SessionRow) => boolean,
	): { found: { row: SessionRow; begunAt: number | undefined }[]; last: string | undefined } {
		const found: { row: SessionRow; begunAt: number | undefined }[] = [];
		let [looked, last] = [0, ''];
		const rows = this.#sql?.exec<Columns>(
			'SELECT * FROM tmcp_sessions WHERE session_id > ? ORDER BY session_id LIMIT ?',
			after,
			scanned,
		);
		for (const columns of rows ?? []) {
			[looked, last] = [looked + 1, columns.session_id];
			const row = rowOf(columns);
			if (wanted(row)) found.push({ row, begunAt: columns.begun_at ?? undefined });
			if (found.length === limit) return { found, last };
		}
		return { found, last: looked === scanned ? last : undefined };
	}

	/** How many rows there are, as they were counted: those that have ended and are not forgotten included. Reads one row. */
	get known(): number {
		return this.#sql ? storedCount(this.#sql) : 0;
	}

	/** How many have begun and not ended. Reads every row: for operators. */
	count(): number {
		const count = this.#sql?.exec<{ n: number }>(
			"SELECT COUNT(*) AS n FROM tmcp_sessions WHERE state <> 'ended'",
		);
		return count?.one().n ?? 0;
	}

	/**
	 * Delete the rows that have expired, and count the others. One whose session has an open stream lives on: it is given to
	 * `renew`.
	 * @param isOpen whether a session has an open stream
	 * @param onExpire called with each expired session that had client info
	 * @returns when the next row expires, in milliseconds since 1970; `undefined` where there is none
	 */
	async purge(
		now: number,
		isOpen: (session: string) => boolean,
		renew: (row: SessionRow) => SessionRow,
		onExpire: (session: string) => void,
	): Promise<number | undefined> {
		if (!this.#sql) {
			for (const [session, row] of this.#cache) {
				if (row && row.expiresAt <= now) this.#cache.delete(session);
			}
			return undefined;
		}
		let next: number | undefined;
		let kept = 0;
		const knownBefore = storedCount(this.#sql);
		for (let last: string | undefined = ''; last !== undefined;) {
			const page: (GlanceColumns & { is_informed: number })[] = this.#sql
				.exec<GlanceColumns & { is_informed: number }>(
					`SELECT ${GLANCE}, info IS NOT NULL AS is_informed FROM tmcp_sessions
					WHERE session_id > ? ORDER BY session_id LIMIT ?`,
					last,
					PURGE_PAGE,
				)
				.toArray();
			for (const { session_id: session, expires_at, is_informed } of page) {
				let expiresAt = expires_at;
				const row = expiresAt <= now && isOpen(session) ? this.get(session) : undefined;
				if (row) {
					const renewed = renew(row);
					this.put(renewed);
					({ expiresAt } = renewed);
				} else if (expiresAt <= now) {
					this.delete(session);
					if (is_informed) onExpire(session);
					continue;
				}
				kept++;
				next = Math.min(next ?? Infinity, expiresAt);
			}
			last = page.length < PURGE_PAGE ? undefined : page.at(-1)?.session_id;
			if (last !== undefined) await scheduler.wait(0);
		}
		// Of those that began meanwhile some were read as well: rather too many than too few, until the next time.
		const knownNow = storedCount(this.#sql);
		const count = kept + (knownNow - knownBefore);
		if (count !== knownNow) this.#sql.exec('UPDATE tmcp_session_count SET n = ?', count);
		return next;
	}

	#remember(session: string, row: SessionRow | undefined): void {
		if (this.#sql && this.#cache.size >= MAX_CACHED_ROWS) this.#cache.clear();
		this.#cache.set(session, row);
	}
}

function storedCount(sql: SqlStorage): number {
	return sql.exec<{ n: number }>('SELECT n FROM tmcp_session_count').one().n;
}

/** Ids as JSON, in pages that SQLite takes: 2 MB in a value. An id has 256 characters at most. */
function* pagesOf(sessions: readonly string[]): Generator<string> {
	for (let from = 0; from < sessions.length; from += IDS_IN_A_STATEMENT) {
		yield JSON.stringify(sessions.slice(from, from + IDS_IN_A_STATEMENT));
	}
}

function glanceOf({ session_id, state, owner, expires_at }: GlanceColumns): Glance {
	return { sessionId: session_id, state, owner: owner ?? undefined, expiresAt: expires_at };
}

function rowOf(columns: Columns): SessionRow {
	const known = {
		sessionId: columns.session_id,
		owner: columns.owner ?? undefined,
		since: columns.since,
		expiresAt: columns.expires_at,
		info: columns.info ?? undefined,
	};
	const { state } = columns;
	if (state === 'begun' || state === 'ended') return { state, ...known };
	return {
		state,
		...known,
		connectionId: columns.connection_id ?? '',
		started: columns.started ?? columns.since,
		position: columns.position ?? columns.since,
		repeatUntil: columns.repeat_until ?? undefined,
	};
}
