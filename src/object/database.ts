import { putFilter } from './subscriptions/filter-store.ts';

/** What an object's SQLite holds, as it grew. Only ever add to this list: each entry runs once in the life of an object. */
const MIGRATIONS: readonly Migration[] = [
	// What there may be of it was made before versions were counted; its rows are of sockets that are gone.
	`DROP TABLE IF EXISTS tmcp_filters;
	CREATE TABLE tmcp_filters (
		uri TEXT NOT NULL,
		filter_id TEXT NOT NULL,
		PRIMARY KEY (uri, filter_id)
	) WITHOUT ROWID;
	CREATE INDEX tmcp_filters_by_id ON tmcp_filters (filter_id);
	CREATE TABLE tmcp_events (
		seq INTEGER PRIMARY KEY,
		at INTEGER NOT NULL,
		bytes INTEGER NOT NULL,
		total INTEGER NOT NULL,
		kind TEXT NOT NULL,
		waits INTEGER NOT NULL,
		broadcast_id TEXT,
		audience TEXT,
		data TEXT
	);
	CREATE INDEX tmcp_events_that_wait ON tmcp_events (seq) WHERE waits = 1;
	CREATE TABLE tmcp_sessions (
		session_id TEXT PRIMARY KEY,
		connection_id TEXT,
		since INTEGER,
		started INTEGER,
		position INTEGER,
		at INTEGER NOT NULL
	) WITHOUT ROWID;
	CREATE INDEX tmcp_sessions_by_state ON tmcp_sessions (position IS NULL, at);
	CREATE TABLE tmcp_registrations (
		session_id TEXT PRIMARY KEY,
		owner TEXT NOT NULL,
		expires_at INTEGER
	) WITHOUT ROWID;
	CREATE INDEX tmcp_registrations_by_expiry ON tmcp_registrations (expires_at)`,
	oneRowASession,
	oneRowAFilter,
	`CREATE TABLE tmcp_owners (
		account TEXT PRIMARY KEY,
		check_at INTEGER NOT NULL,
		sessions TEXT NOT NULL
	) WITHOUT ROWID;
	CREATE TABLE tmcp_session_count (n INTEGER NOT NULL);
	INSERT INTO tmcp_session_count SELECT COUNT(*) FROM tmcp_sessions`,
	// The key begins with the session and the connection, by which rows are found and deleted: there is no index to write.
	`CREATE TABLE tmcp_questions (
		session_id TEXT NOT NULL,
		connection_id TEXT NOT NULL,
		question_id TEXT NOT NULL,
		owner TEXT NOT NULL,
		expires_at INTEGER NOT NULL,
		answer TEXT,
		PRIMARY KEY (session_id, connection_id, question_id)
	) WITHOUT ROWID`,
	`ALTER TABLE tmcp_sessions ADD COLUMN info TEXT;
	CREATE TABLE tmcp_subscribers (
		bucket TEXT NOT NULL,
		session_id TEXT NOT NULL,
		resource TEXT NOT NULL,
		PRIMARY KEY (bucket, session_id, resource)
	) WITHOUT ROWID`,
	// The positions where streams were lost stood in the log only, with an index that slowed down each insert.
	`CREATE TABLE tmcp_losses (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL);
	INSERT INTO tmcp_losses SELECT seq, at FROM tmcp_events WHERE kind = 'lost';
	UPDATE tmcp_events SET kind = 'cut' WHERE kind = 'lost' AND audience IS NOT NULL;
	DROP INDEX tmcp_events_lost`,
	// The subscriptions of a session stand in its own row.
	`ALTER TABLE tmcp_sessions ADD COLUMN resources TEXT;
	UPDATE tmcp_sessions SET resources = subscribed.resources
	FROM (
		SELECT session_id, group_concat(resource, char(10)) AS resources
		FROM tmcp_subscribers GROUP BY session_id
	) AS subscribed
	WHERE subscribed.session_id = tmcp_sessions.session_id AND tmcp_sessions.state <> 'ended';
	DROP TABLE tmcp_subscribers`,
	// An end is found by its target: one row for each, however often it ends.
	`ALTER TABLE tmcp_subscription_ends RENAME TO tmcp_ends;
	CREATE TABLE tmcp_subscription_ends (
		target TEXT PRIMARY KEY,
		at INTEGER NOT NULL,
		reason TEXT NOT NULL
	) WITHOUT ROWID;
	INSERT OR REPLACE INTO tmcp_subscription_ends SELECT target, at, reason FROM tmcp_ends ORDER BY at;
	DROP TABLE tmcp_ends`,
];

type Migration = string | ((sql: SqlStorage) => void);

const VERSION_KEY = 'tmcp:schema';

/**
 * The object's SQLite with its tables, or `undefined` for a class that was made with `new_classes`, as the existing
 * package's README has it: such a class keeps its old storage for ever, and all that needs no SQLite works there too.
 */
export function openDatabase(storage: DurableObjectStorage): SqlStorage | undefined {
	const sql = sqlOf(storage);
	if (!sql) {
		warnOnce();
		return undefined;
	}
	const version = storage.kv.get<number>(VERSION_KEY) ?? 0;
	if (version >= MIGRATIONS.length) return sql;
	storage.transactionSync(() => {
		for (const migration of MIGRATIONS.slice(version)) {
			if (typeof migration === 'string') sql.exec(migration);
			else migration(sql);
		}
		storage.kv.put(VERSION_KEY, MIGRATIONS.length);
	});
	return sql;
}

/**
 * Joins the two tables that a session had. `waits` marked an event that named an unknown session: that session begins.
 * An old position of NULL is that of an open stream: it is lost with the instance that this one replaces.
 */
function oneRowASession(sql: SqlStorage): void {
	const [newest] = sql.exec<{ seq: number }>('SELECT MAX(seq) AS seq FROM tmcp_events').toArray();
	const head = newest?.seq ?? 0;
	sql.exec(
		`CREATE TABLE tmcp_sessions_2 (
			session_id TEXT PRIMARY KEY,
			state TEXT NOT NULL,
			owner TEXT,
			since INTEGER NOT NULL,
			expires_at INTEGER NOT NULL,
			connection_id TEXT,
			started INTEGER,
			position INTEGER,
			repeat_until INTEGER
		) WITHOUT ROWID;
		INSERT INTO tmcp_sessions_2 (session_id, state, owner, since, expires_at, connection_id, started, position)
		SELECT session_id,
			CASE WHEN connection_id IS NULL THEN 'begun' WHEN connection_id LIKE '-%' THEN 'detached' ELSE 'away' END,
			(SELECT owner FROM tmcp_registrations WHERE tmcp_registrations.session_id = tmcp_sessions.session_id),
			COALESCE(since, position, 0),
			at + 8 * 24 * 60 * 60 * 1000,
			LTRIM(connection_id, '-'),
			COALESCE(started, position, since, 0),
			COALESCE(position, ${head})
		FROM tmcp_sessions;
		INSERT OR IGNORE INTO tmcp_sessions_2 (session_id, state, owner, since, expires_at)
		SELECT session_id, 'begun', owner, ${head}, COALESCE(expires_at, ${Date.now()} + 8 * 24 * 60 * 60 * 1000)
		FROM tmcp_registrations`,
	);
	const waiting = sql.exec<{ seq: number; at: number; audience: string }>(
		'SELECT seq, at, audience FROM tmcp_events WHERE waits = 1 AND audience IS NOT NULL ORDER BY seq',
	);
	for (const { seq, at, audience } of waiting.toArray()) {
		for (const session of audience.split('\n').filter((id) => id !== '')) {
			sql.exec(
				"INSERT OR IGNORE INTO tmcp_sessions_2 (session_id, state, since, expires_at) VALUES (?, 'begun', ?, ?)",
				session,
				seq - 1,
				at + 8 * 24 * 60 * 60 * 1000,
			);
			sql.exec(
				"UPDATE tmcp_sessions_2 SET since = MIN(since, ?) WHERE session_id = ? AND state = 'begun'",
				seq - 1,
				session,
			);
		}
	}
	sql.exec(
		`DROP TABLE tmcp_registrations;
		DROP TABLE tmcp_sessions;
		ALTER TABLE tmcp_sessions_2 RENAME TO tmcp_sessions;
		DROP INDEX tmcp_events_that_wait;
		ALTER TABLE tmcp_events DROP COLUMN waits;
		CREATE INDEX tmcp_events_lost ON tmcp_events (seq) WHERE kind = 'lost';
		CREATE TABLE tmcp_subscription_ends (
			at INTEGER PRIMARY KEY,
			target TEXT NOT NULL,
			reason TEXT NOT NULL
		)`,
	);
}

/** A row for each resource of a filter, in a table and an index, becomes one for all of them. */
function oneRowAFilter(sql: SqlStorage): void {
	const rows = sql
		.exec<{ filter_id: string; uri: string }>('SELECT filter_id, uri FROM tmcp_filters')
		.toArray();
	sql.exec(
		`DROP TABLE tmcp_filters;
		CREATE TABLE tmcp_filters (
			filter_id TEXT PRIMARY KEY,
			hashes BLOB NOT NULL,
			uris TEXT NOT NULL
		) WITHOUT ROWID`,
	);
	for (const [filterId, of] of Map.groupBy(rows, ({ filter_id }) => filter_id)) {
		putFilter(
			sql,
			filterId,
			of.map(({ uri }) => uri),
		);
	}
}

let hasWarned = false;

function warnOnce(): void {
	if (hasWarned) return;
	hasWarned = true;
	console.warn(
		'The SyncLayer class of this Worker was made with "new_classes" and has no SQLite. Streams work; what does not: a client that was away misses what was sent meanwhile, and what needs SQLite is refused (SQLITE_MISSING): a SessionGateway and the answers to a server’s requests, a DurableObjectInfoSessionManager, several homes, listen streams for more than 4 resources, lists of sessions, and the end of all sessions of an owner. Bind a new class that is made with "new_sqlite_classes".',
	);
}

function sqlOf(storage: DurableObjectStorage): SqlStorage | undefined {
	try {
		// Asking for it does not fail there; using it does.
		return storage.sql.databaseSize >= 0 ? storage.sql : undefined;
	} catch {
		return undefined;
	}
}
