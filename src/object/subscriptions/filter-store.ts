import { SessionManagerError } from '../../errors.ts';

/**
 * The resources of subscriptions that name more than a socket can carry, in the object's SQLite: a row each, found by URI.
 * They are kept while the subscription is open or may come back, so that it need not write them again.
 */
export class FilterStore {
	#sql: SqlStorage | undefined;

	constructor(sql: SqlStorage | undefined) {
		this.#sql = sql;
	}

	/** @throws `INVALID_ARGUMENT` where the object has no SQLite */
	put(filterId: string, uris: Iterable<string>): void {
		if (!this.#sql) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				'a subscription to more than 5 resources, or one whose URIs have more than 5,000 characters, needs a SyncLayer class that was made with "new_sqlite_classes". Name fewer resources, or migrate.',
			);
		}
		const [known] = this.#sql
			.exec('SELECT 1 FROM tmcp_filters WHERE filter_id = ? LIMIT 1', filterId)
			.toArray();
		if (known) return;
		this.#sql.exec(
			'INSERT OR IGNORE INTO tmcp_filters (uri, filter_id) SELECT value, ? FROM json_each(?)',
			filterId,
			JSON.stringify([...uris]),
		);
	}

	/** The filters that name a resource. */
	find(uri: string): string[] {
		const rows = this.#sql?.exec<{ filter_id: string }>(
			'SELECT filter_id FROM tmcp_filters WHERE uri = ?',
			uri,
		);
		return rows?.toArray().map(({ filter_id }) => filter_id) ?? [];
	}

	delete(filterId: string): void {
		this.#sql?.exec('DELETE FROM tmcp_filters WHERE filter_id = ?', filterId);
	}

	/** Delete the rows of subscriptions that did not come back after the object was restarted. */
	keepOnly(filterIds: ReadonlySet<string>): void {
		const rows = this.#sql?.exec<{ filter_id: string }>(
			'SELECT DISTINCT filter_id FROM tmcp_filters',
		);
		for (const { filter_id } of rows?.toArray() ?? []) {
			if (!filterIds.has(filter_id)) this.delete(filter_id);
		}
	}
}
