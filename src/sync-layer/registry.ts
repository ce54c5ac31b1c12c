import { quote, SessionManagerError } from '../errors.ts';
import { existingDatabase, openDatabase } from './schema.ts';

/** A session is renewed so many times in its time to live, not for each request, so that a request is rarely a write. */
const RENEWALS = 10;

/** Compared with where there is nobody to compare with. No hash is it. */
const NOBODY = '-'.repeat(43);

interface Registration {
	owner: string;
	expiresAt: number;
}

/**
 * The sessions that a gateway issued, and whose each is: a row each in the object's SQLite, until the session ends or
 * expires. One with an open stream does not expire.
 */
export class Registry {
	#storage: DurableObjectStorage;
	#ttlMs: number;
	#hasStream: (session: string) => boolean;

	constructor(
		storage: DurableObjectStorage,
		ttlMs: number,
		hasStream: (session: string) => boolean,
	) {
		this.#storage = storage;
		this.#ttlMs = ttlMs;
		this.#hasStream = hasStream;
	}

	/** @throws `SQLITE_MISSING`; `INVALID_ARGUMENT` where the id is another owner's */
	register(session: string, owner: string, now: number): void {
		this.purge(now);
		const known = this.#find(session);
		if (known && !isSame(known.owner, owner)) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				`the session id ${quote(session)} was issued before, to another owner. getSessionId must make a new one each time, for example crypto.randomUUID().`,
			);
		}
		this.#database.exec(
			'INSERT OR REPLACE INTO tmcp_registrations VALUES (?, ?, ?)',
			session,
			owner,
			this.#deadline(now),
		);
	}

	/**
	 * Whether the session was registered for this owner and is alive; if so, it goes on living.
	 * @throws `SQLITE_MISSING`
	 */
	admits(session: string, owner: string, now: number): boolean {
		const known = this.#find(session);
		const isOwned = isSame(known?.owner ?? NOBODY, owner);
		const isAlive = known !== undefined && (known.expiresAt > now || this.#hasStream(session));
		if (!isOwned || !isAlive) return false;
		this.renew(session, now);
		return true;
	}

	/** A sign of life. It is written only where the last one that was is old enough. */
	renew(session: string, now: number): void {
		this.#existing?.exec(
			'UPDATE tmcp_registrations SET expires_at = ? WHERE session_id = ? AND expires_at <= ?',
			this.#deadline(now),
			session,
			now + this.#ttlMs,
		);
	}

	delete(session: string): void {
		this.#existing?.exec('DELETE FROM tmcp_registrations WHERE session_id = ?', session);
	}

	/** Delete what has expired. Nothing depends on when that is done: it is not admitted any more. */
	purge(now: number): void {
		const expired =
			this.#existing
				?.exec<{ session_id: string }>(
					'SELECT session_id FROM tmcp_registrations WHERE expires_at <= ?',
					now,
				)
				.toArray() ?? [];
		for (const { session_id } of expired) {
			if (this.#hasStream(session_id)) this.renew(session_id, now);
			else this.delete(session_id);
		}
	}

	/** Late enough that a request for which it was not renewed still has its whole time before it. */
	#deadline(now: number): number {
		return now + this.#ttlMs + this.#ttlMs / RENEWALS;
	}

	#find(session: string): Registration | undefined {
		const [row] = this.#database
			.exec<{ owner: string; expires_at: number }>(
				'SELECT owner, expires_at FROM tmcp_registrations WHERE session_id = ?',
				session,
			)
			.toArray();
		return row && { owner: row.owner, expiresAt: row.expires_at };
	}

	/** What does not need the database does not make it: an object without a gateway stays as it is. */
	get #existing(): SqlStorage | undefined {
		return existingDatabase(this.#storage);
	}

	get #database(): SqlStorage {
		const sql = openDatabase(this.#storage);
		if (sql) return sql;
		throw new SessionManagerError(
			'SQLITE_MISSING',
			'a SessionGateway needs a SyncLayer class that was made with "new_sqlite_classes". This one was made with "new_classes": bind a new class, or do without the gateway.',
		);
	}
}

/** Takes the same time whatever the two are, so that it tells nothing of a hash but whether it is this one. */
function isSame(owner: string, other: string): boolean {
	const encoder = new TextEncoder();
	return crypto.subtle.timingSafeEqual(encoder.encode(owner), encoder.encode(other));
}
