/** What an object's SQLite holds, as it grew. Only ever add to this list: each entry runs once in the life of an object. */
const MIGRATIONS: readonly string[] = [
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
];

const VERSION_KEY = 'tmcp:schema';

/**
 * The object's SQLite with its tables, or `undefined` for a class that was made with `new_classes`, as the existing
 * package's README has it: such a class keeps its old storage for ever, and all that needs no SQLite works there too.
 */
export function openDatabase(storage: DurableObjectStorage): SqlStorage | undefined {
	const sql = sqlOf(storage);
	if (!sql) return undefined;
	const version = storage.kv.get<number>(VERSION_KEY) ?? 0;
	if (version >= MIGRATIONS.length) return sql;
	storage.transactionSync(() => {
		for (const migration of MIGRATIONS.slice(version)) sql.exec(migration);
		storage.kv.put(VERSION_KEY, MIGRATIONS.length);
	});
	return sql;
}

/** The database, if anything ever needed it: looking for what is not there does not make one. */
export function existingDatabase(storage: DurableObjectStorage): SqlStorage | undefined {
	const sql = sqlOf(storage);
	return sql && storage.kv.get(VERSION_KEY) !== undefined ? openDatabase(storage) : undefined;
}

function sqlOf(storage: DurableObjectStorage): SqlStorage | undefined {
	try {
		// Asking for it does not fail there; using it does.
		return storage.sql.databaseSize >= 0 ? storage.sql : undefined;
	} catch {
		return undefined;
	}
}
