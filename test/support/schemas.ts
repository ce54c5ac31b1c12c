/** What undoes a change of the schema, by the number of changes that there were before it. */
const UNDO: ReadonlyMap<number, string> = new Map([
	[3, 'DROP TABLE tmcp_owners; DROP TABLE tmcp_session_count'],
	[4, 'DROP TABLE tmcp_questions'],
	[5, 'ALTER TABLE tmcp_sessions DROP COLUMN info; DROP TABLE tmcp_subscribers'],
	[
		6,
		"DROP TABLE tmcp_losses; CREATE INDEX tmcp_events_lost ON tmcp_events (seq) WHERE kind = 'lost'",
	],
	[
		7,
		`ALTER TABLE tmcp_sessions DROP COLUMN resources;
		CREATE TABLE tmcp_subscribers (
			bucket TEXT NOT NULL,
			session_id TEXT NOT NULL,
			resource TEXT NOT NULL,
			PRIMARY KEY (bucket, session_id, resource)
		) WITHOUT ROWID`,
	],
	[
		8,
		`DROP TABLE tmcp_subscription_ends;
		CREATE TABLE tmcp_subscription_ends (at INTEGER PRIMARY KEY, target TEXT NOT NULL, reason TEXT NOT NULL)`,
	],
]);

/**
 * Make an object's storage that of an earlier version of the library.
 * @param version how many changes of the schema that version knew, from 3
 */
export function rewindSchema({ sql, kv }: DurableObjectStorage, version: number): void {
	const newestFirst = [...UNDO].toSorted(([a], [b]) => b - a);
	for (const [changes, undo] of newestFirst) if (changes >= version) sql.exec(undo);
	kv.put('tmcp:schema', version);
}
