import { SessionManagerError } from '../errors.ts';
import { sqlOf } from './sql.ts';

/**
 * The resources of subscriptions that name more than a socket can carry, in the object's SQLite: a row for each, found by
 * URI, for as long as the socket lives. The table is made when the first such row is, so an object that never needs it
 * never has it.
 */
export class FilterStore {
	#sql: SqlStorage | undefined;

	constructor(storage: DurableObjectStorage) {
		this.#sql = sqlOf(storage);
	}

	/** @throws `INVALID_ARGUMENT` where the object has no SQLite */
	put(filterId: string, uris: Iterable<string>): void {
		if (!this.#sql) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				'a subscription to more than 5 resources, or one whose URIs have more than 5,000 characters, needs a SyncLayer class that was made with "new_sqlite_classes". Name fewer resources, or migrate.',
			);
		}
		this.#sql.exec(
			`CREATE TABLE IF NOT EXISTS tmcp_filters (
				uri TEXT NOT NULL, filter_id TEXT NOT NULL, PRIMARY KEY (uri, filter_id)
			) WITHOUT ROWID;
			CREATE INDEX IF NOT EXISTS tmcp_filters_by_id ON tmcp_filters (filter_id)`,
		);
		for (const uri of uris) {
			this.#sql.exec('INSERT OR IGNORE INTO tmcp_filters VALUES (?, ?)', uri, filterId);
		}
	}

	/** The filters that name a resource. */
	find(uri: string): string[] {
		const rows = this.#table?.exec<{ filter_id: string }>(
			'SELECT filter_id FROM tmcp_filters WHERE uri = ?',
			uri,
		);
		return rows?.toArray().map(({ filter_id }) => filter_id) ?? [];
	}

	delete(filterId: string): void {
		this.#table?.exec('DELETE FROM tmcp_filters WHERE filter_id = ?', filterId);
	}

	/** Delete the rows of sockets that are gone: an object that was replaced is not told of their end. */
	keepOnly(filterIds: ReadonlySet<string>): void {
		const rows = this.#table?.exec<{ filter_id: string }>(
			'SELECT DISTINCT filter_id FROM tmcp_filters',
		);
		for (const { filter_id } of rows?.toArray() ?? []) {
			if (!filterIds.has(filter_id)) this.delete(filter_id);
		}
	}

	/** The database, once it has the table. */
	get #table(): SqlStorage | undefined {
		const tables = this.#sql?.exec("SELECT 1 FROM sqlite_master WHERE name = 'tmcp_filters'");
		return tables && tables.toArray().length > 0 ? this.#sql : undefined;
	}
}
