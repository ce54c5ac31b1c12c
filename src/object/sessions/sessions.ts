import { SessionCount } from './session-count.ts';
import type { Glance, SessionRow } from './session-row.ts';
import { Subscribers } from './subscribers.ts';

/**
 * How many rows are remembered: a GET asks for the same one in `admit` and at its upgrade, and a `DELETE` for it again. Half
 * as many as an object holds streams.
 */
const MAX_CACHED_ROWS = 16_384;

/** How many characters of client info and subscriptions are remembered with them. */
const MAX_CACHED_CHARS = 32 * 1024 * 1024;

/**
 * How long a row waits to be written together with what follows, in milliseconds: longer than a client takes from its
 * `notifications/initialized` to its GET. An object that waits is billed for its time, at most $0.80 for a million such
 * waits (128 MB at $12.50 a million GB-s), and a million rows cost $1.00:
 * https://developers.cloudflare.com/durable-objects/platform/pricing/
 */
const WAIT_MS = 500;

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
	resources: string | null;
	connection_id: string | null;
	started: number | null;
	position: number | null;
	repeat_until: number | null;
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
	/** At least as many as there are in the cache. */
	#cachedChars = 0;
	/** Rows that were renewed and are not written yet: what is stored differs in the time when they expire. */
	#waiting = new Map<string, SessionRow>();
	#timer: ReturnType<typeof setTimeout> | undefined;
	/** How many there are. */
	readonly known: SessionCount | undefined;
	/** Those of resources. */
	readonly subscribers: Subscribers | undefined;

	constructor(sql: SqlStorage | undefined) {
		this.#sql = sql;
		this.known = sql && new SessionCount(sql);
		this.subscribers = sql && new Subscribers(sql);
	}

	get(session: string): SessionRow | undefined {
		const waiting = this.#waiting.get(session);
		if (waiting || this.#cache.has(session) || !this.#sql) {
			return waiting ?? this.#cache.get(session);
		}
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

	/** Writes nothing where the row is the one that is stored. */
	put(row: SessionRow): void {
		if ((this.#waiting.get(row.sessionId) ?? this.#cache.get(row.sessionId)) === row) return;
		this.#write(row);
	}

	/**
	 * {@link put} a renewed row, which is not written at once: another change of it within half a second takes it along. If
	 * the object is lost before that, the row expires when it would have without this. Only {@link getAll} may tell the time
	 * that is stored meanwhile.
	 */
	putSoon(row: SessionRow): void {
		this.#waiting.set(row.sessionId, row);
		this.#timer ??= setTimeout(() => this.#writeWaiting(), WAIT_MS);
		this.subscribers?.changed(row.sessionId, row);
	}

	/** Sessions that a broadcast names for the first time, in one statement. */
	beginAll(sessions: readonly string[], since: number, expiresAt: number): void {
		for (const ids of pagesOf(sessions)) {
			this.#sql?.exec(
				`INSERT OR IGNORE INTO tmcp_sessions (session_id, state, since, expires_at)
				SELECT value, 'begun', ?, ? FROM json_each(?)`,
				since,
				expiresAt,
				ids,
			);
		}
		for (const session of sessions) this.#cache.delete(session);
	}

	delete(session: string): void {
		if (this.get(session) === undefined) return;
		this.#stopWaiting(session);
		this.#sql?.exec('DELETE FROM tmcp_sessions WHERE session_id = ?', session);
		this.#remember(session, undefined);
		this.subscribers?.changed(session, undefined);
	}

	/**
	 * The sessions after one, in the order of ids, that are `wanted`: so many at most.
	 * @param scanned of how many rows, so that a table of rows that are not wanted is not read to its end (default: all)
	 * @returns `last`: the last id that was looked at, where there may be more
	 */
	page(
		after: string,
		limit: number,
		wanted: (row: SessionRow) => boolean,
		scanned = -1,
	): { found: SessionRow[]; last: string | undefined } {
		this.#writeWaiting();
		const found: SessionRow[] = [];
		let [looked, last] = [0, ''];
		const rows = this.#sql?.exec<Columns>(
			'SELECT * FROM tmcp_sessions WHERE session_id > ? ORDER BY session_id LIMIT ?',
			after,
			scanned,
		);
		for (const columns of rows ?? []) {
			[looked, last] = [looked + 1, columns.session_id];
			const row = rowOf(columns);
			if (wanted(row)) found.push(row);
			if (found.length === limit) return { found, last };
		}
		return { found, last: looked === scanned ? last : undefined };
	}

	/** There is no log any more: a row says nothing of streams, and one that says nothing else goes. */
	forgetStreams(): void {
		this.#sql?.exec(
			`DELETE FROM tmcp_sessions WHERE owner IS NULL AND info IS NULL AND state <> 'ended';
			UPDATE tmcp_sessions SET since = 0, state = CASE state WHEN 'ended' THEN 'ended' ELSE 'begun' END`,
		);
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
	 * @returns when the next row expires, in milliseconds since 1970; `undefined` where there is none
	 */
	async purge(
		now: number,
		isOpen: (session: string) => boolean,
		renew: (row: SessionRow) => SessionRow,
	): Promise<number | undefined> {
		if (!this.#sql || !this.known) {
			for (const [session, row] of this.#cache) {
				if (row && row.expiresAt <= now) this.#cache.delete(session);
			}
			return undefined;
		}
		this.#writeWaiting();
		let next: number | undefined;
		let kept = 0;
		const begunBefore = this.known.begun;
		for (let last: string | undefined = ''; last !== undefined;) {
			const page: GlanceColumns[] = this.#sql
				.exec<GlanceColumns>(
					`SELECT ${GLANCE} FROM tmcp_sessions WHERE session_id > ? ORDER BY session_id LIMIT ?`,
					last,
					PURGE_PAGE,
				)
				.toArray();
			for (const { session_id: session, expires_at } of page) {
				let expiresAt = expires_at;
				const row = expiresAt <= now && isOpen(session) ? this.get(session) : undefined;
				if (row) {
					const renewed = renew(row);
					this.put(renewed);
					({ expiresAt } = renewed);
				} else if (expiresAt <= now) {
					this.delete(session);
					continue;
				}
				kept++;
				next = Math.min(next ?? Infinity, expiresAt);
			}
			last = page.length < PURGE_PAGE ? undefined : page.at(-1)?.session_id;
			if (last !== undefined) await scheduler.wait(0);
		}
		// Of those that began meanwhile some were read as well: rather too many than too few, until the next time.
		this.known.correct(kept + (this.known.begun - begunBefore));
		return next;
	}

	#write(row: SessionRow): void {
		this.#stopWaiting(row.sessionId);
		const served = 'connectionId' in row ? row : undefined;
		this.#sql?.exec(
			`INSERT OR REPLACE INTO tmcp_sessions
			(session_id, state, owner, since, expires_at, info, resources, connection_id, started, position, repeat_until)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			row.sessionId,
			row.state,
			row.owner ?? null,
			row.since,
			row.expiresAt,
			row.info ?? null,
			row.resources ?? null,
			served?.connectionId ?? null,
			served?.started ?? null,
			served?.position ?? null,
			served?.repeatUntil ?? null,
		);
		this.#remember(row.sessionId, row);
		this.subscribers?.changed(row.sessionId, row);
	}

	#writeWaiting(): void {
		for (const row of this.#waiting.values()) this.#write(row);
	}

	/** Its row is written now, or gone. */
	#stopWaiting(session: string): void {
		if (!this.#waiting.delete(session) || this.#waiting.size > 0) return;
		// A timer would keep the object awake.
		clearTimeout(this.#timer);
		this.#timer = undefined;
	}

	#remember(session: string, row: SessionRow | undefined): void {
		const chars = (row?.info?.length ?? 0) + (row?.resources?.length ?? 0);
		this.#cachedChars += chars;
		const isFull = this.#cache.size >= MAX_CACHED_ROWS || this.#cachedChars > MAX_CACHED_CHARS;
		if (this.#sql && isFull) {
			this.#cache.clear();
			this.#cachedChars = chars;
		}
		this.#cache.set(session, row);
	}
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
		resources: columns.resources ?? undefined,
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
