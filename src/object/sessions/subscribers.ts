/** What a resource's hash, and so the key of a subscription, may begin with. */
const BUCKETS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'];

/** The subscriptions of one session, found by a seek in each bucket. */
const OF_SESSION = `bucket IN (${BUCKETS.map((bucket) => `'${bucket}'`).join()}) AND session_id = ?`;

/**
 * Which session is subscribed to which resource. A resource is the SHA-256 of its URI in base64url.
 *
 * A subscription is one row, and no index has to be written with it: the key is (bucket, session, resource), the bucket
 * being the first of the hash's 43 characters, which are one of 64. The subscriptions of a session are 64 seeks away; to
 * find the subscribers of a resource, one bucket is read, a 64th of all.
 */
export class Subscribers {
	#sql: SqlStorage;

	constructor(sql: SqlStorage) {
		this.#sql = sql;
	}

	/** The sessions that are subscribed to a resource, and have neither ended nor expired. */
	to(resource: string, now: number): string[] {
		const rows = this.#sql.exec<{ session_id: string }>(
			`SELECT session_id FROM tmcp_subscribers CROSS JOIN tmcp_sessions USING (session_id)
			WHERE bucket = ? AND resource = ? AND state <> 'ended' AND (state = 'open' OR expires_at > ?)`,
			bucketOf(resource),
			resource,
			now,
		);
		return rows.toArray().map(({ session_id }) => session_id);
	}

	/** The resources that a session is subscribed to. */
	of(session: string): Set<string> {
		const rows = this.#sql.exec<{ resource: string }>(
			`SELECT resource FROM tmcp_subscribers WHERE ${OF_SESSION}`,
			session,
		);
		return new Set(rows.toArray().map(({ resource }) => resource));
	}

	add(session: string, resource: string): void {
		this.#sql.exec(
			'INSERT OR IGNORE INTO tmcp_subscribers (bucket, session_id, resource) VALUES (?, ?, ?)',
			bucketOf(resource),
			session,
			resource,
		);
	}

	remove(session: string, resource: string): void {
		this.#sql.exec(
			'DELETE FROM tmcp_subscribers WHERE bucket = ? AND session_id = ? AND resource = ?',
			bucketOf(resource),
			session,
			resource,
		);
	}

	removeAll(session: string): void {
		this.#sql.exec(`DELETE FROM tmcp_subscribers WHERE ${OF_SESSION}`, session);
	}
}

function bucketOf(resource: string): string {
	return resource.charAt(0);
}
