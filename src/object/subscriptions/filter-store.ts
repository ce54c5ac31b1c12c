import { SessionManagerError } from '../../errors.ts';
import { existingDatabase, openDatabase } from '../database.ts';

/**
 * The resources of subscriptions that name more than a socket can carry, in the object's SQLite: a row for each, found by
 * URI, for as long as the socket lives.
 */
export class FilterStore {
	#storage: DurableObjectStorage;

	constructor(storage: DurableObjectStorage) {
		this.#storage = storage;
	}

	/** @throws `INVALID_ARGUMENT` where the object has no SQLite */
	put(filterId: string, uris: Iterable<string>): void {
		const sql = openDatabase(this.#storage);
		if (!sql) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				'a subscription to more than 5 resources, or one whose URIs have more than 5,000 characters, needs a SyncLayer class that was made with "new_sqlite_classes". Name fewer resources, or migrate.',
			);
		}
		for (const uri of uris) {
			sql.exec('INSERT OR IGNORE INTO tmcp_filters VALUES (?, ?)', uri, filterId);
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

	get #table(): SqlStorage | undefined {
		return existingDatabase(this.#storage);
	}
}
