import { SessionManagerError } from '../errors.ts';
import { sqlOf } from './sql.ts';

/**
 * The subscriptions that are too large for a socket's attachment, in the object's SQLite: a row each, for as long as
 * the socket lives. The table is made when the first such row is, so an object that never needs it never has it.
 */
export class FilterStore {
	#sql: SqlStorage | undefined;

	constructor(storage: DurableObjectStorage) {
		this.#sql = sqlOf(storage);
	}

	/** @throws `INVALID_ARGUMENT` where the object has no SQLite */
	put(connectionId: string, subscription: string): void {
		if (!this.#sql) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				'a subscription of more than 16 KiB needs a SyncLayer class that was made with "new_sqlite_classes". Name fewer resources, or migrate.',
			);
		}
		this.#sql.exec(
			'CREATE TABLE IF NOT EXISTS tmcp_filters (connection_id TEXT PRIMARY KEY, subscription TEXT NOT NULL) WITHOUT ROWID',
		);
		this.#sql.exec('INSERT INTO tmcp_filters VALUES (?, ?)', connectionId, subscription);
	}

	get(connectionId: string): string | undefined {
		const [row] =
			this.#table
				?.exec<{ subscription: string }>(
					'SELECT subscription FROM tmcp_filters WHERE connection_id = ?',
					connectionId,
				)
				.toArray() ?? [];
		return row?.subscription;
	}

	delete(connectionId: string): void {
		this.#table?.exec('DELETE FROM tmcp_filters WHERE connection_id = ?', connectionId);
	}

	/** Delete the rows of connections that are gone: an object that was replaced is not told of its sockets' end. */
	keepOnly(connectionIds: ReadonlySet<string>): void {
		const stored =
			this.#table
				?.exec<{ connection_id: string }>('SELECT connection_id FROM tmcp_filters')
				.toArray() ?? [];
		for (const { connection_id } of stored) {
			if (!connectionIds.has(connection_id)) this.delete(connection_id);
		}
	}

	/** The database, once it has the table. */
	get #table(): SqlStorage | undefined {
		const tables = this.#sql?.exec("SELECT 1 FROM sqlite_master WHERE name = 'tmcp_filters'");
		return tables && tables.toArray().length > 0 ? this.#sql : undefined;
	}
}
