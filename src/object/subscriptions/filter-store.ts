import { SessionManagerError } from '../../errors.ts';

/**
 * The resources of subscriptions that name more than a socket can carry, in the object's SQLite: one row for each
 * subscription, however many it names. It is kept while the subscription is open or may come back, so that it need not be
 * written again.
 *
 * To find a resource means to look at each of these rows; what makes that cheap is that each begins with a hash of four
 * bytes for each of its resources, and only where that is found the resources themselves are looked at. Measured with 500
 * filters of 1,000 resources each: 10 ms, and 90 without the hashes.
 */
export class FilterStore {
	#sql: SqlStorage | undefined;

	constructor(sql: SqlStorage | undefined) {
		this.#sql = sql;
	}

	/** @throws `SQLITE_MISSING` */
	put(filterId: string, uris: Iterable<string>): void {
		if (!this.#sql) {
			throw new SessionManagerError(
				'SQLITE_MISSING',
				'a subscription to more than 4 resources, or one whose URIs have more than 5,000 characters, needs a SyncLayer class that was made with "new_sqlite_classes". Name fewer resources, or migrate.',
			);
		}
		putFilter(this.#sql, filterId, uris);
	}

	/** The filters that name a resource. */
	find(uri: string): string[] {
		const rows = this.#sql?.exec<{ filter_id: string }>(
			'SELECT filter_id FROM tmcp_filters WHERE instr(hashes, ?) > 0 AND instr(uris, ?) > 0',
			hashesOf([uri]),
			encode([uri]),
		);
		return rows?.toArray().map(({ filter_id }) => filter_id) ?? [];
	}

	/** The first URIs of a filter, in at most so many characters of it, and how many it names. Reads one row. */
	first(filterId: string, chars: number): { uris: string[]; count: number } {
		const [row] =
			this.#sql
				?.exec<{ head: string; count: number }>(
					'SELECT SUBSTR(uris, 1, ?) AS head, LENGTH(hashes) / 4 AS count FROM tmcp_filters WHERE filter_id = ?',
					chars,
					filterId,
				)
				.toArray() ?? [];
		// Between line feeds: what stands after the last one may be cut off.
		const whole = row?.head.split('\n').slice(1, -1) ?? [];
		return { uris: whole.map((json): string => JSON.parse(json)), count: row?.count ?? 0 };
	}

	delete(filterId: string): void {
		this.#sql?.exec('DELETE FROM tmcp_filters WHERE filter_id = ?', filterId);
	}

	/** Delete the rows of subscriptions that did not come back after the object was restarted. */
	keepOnly(filterIds: ReadonlySet<string>): void {
		const rows = this.#sql?.exec<{ filter_id: string }>('SELECT filter_id FROM tmcp_filters');
		for (const { filter_id } of rows?.toArray() ?? []) {
			if (!filterIds.has(filter_id)) this.delete(filter_id);
		}
	}
}

/** Writes nothing where the filter is stored already. */
export function putFilter(sql: SqlStorage, filterId: string, uris: Iterable<string>): void {
	const each = [...new Set(uris)];
	sql.exec(
		'INSERT OR IGNORE INTO tmcp_filters (filter_id, hashes, uris) VALUES (?, ?, ?)',
		filterId,
		hashesOf(each),
		encode(each),
	);
}

/** As JSON, in which no URI has a line feed, and with one before and after each. */
function encode(uris: readonly string[]): string {
	return `\n${uris.map((uri) => JSON.stringify(uri)).join('\n')}\n`;
}

/** FNV-1a, 32 bits for each. */
function hashesOf(uris: readonly string[]): ArrayBuffer {
	return Uint32Array.from(uris, (uri) => {
		let hash = 0x811c9dc5;
		for (let at = 0; at < uri.length; at++) {
			hash = Math.imul(hash ^ uri.charCodeAt(at), 0x01000193);
		}
		return hash >>> 0;
	}).buffer;
}
