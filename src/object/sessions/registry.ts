import { quote, SessionManagerError } from '../../errors.ts';
import { PARTS } from '../alarm.ts';
import { existingDatabase, openDatabase } from '../database.ts';

/** Compared with where there is nobody to compare with. No hash is it. */
const NOBODY = '-'.repeat(43);

/** How many are purged at once, so that no call waits for long. */
const PURGE_LIMIT = 1_000;

interface Registration {
	owner: string;
	/** In milliseconds since 1970; `undefined` while the session has a stream. */
	expiresAt: number | undefined;
}

/**
 * The sessions that a gateway issued, and whose each is: a row each in the object's SQLite, until the session ends or
 * expires. One with an open stream does not expire.
 */
export class Registry {
	#storage: DurableObjectStorage;
	#ttlMs: number;
	#onKept: () => void;

	/** @param onKept told when something is kept that gets old */
	constructor(storage: DurableObjectStorage, ttlMs: number, onKept: () => void) {
		this.#storage = storage;
		this.#ttlMs = ttlMs;
		this.#onKept = onKept;
	}

	/**
	 * @returns whether a session of that id had expired, of which nothing must be left
	 * @throws `SQLITE_MISSING`; `INVALID_ARGUMENT` where the id is another owner's
	 */
	register(session: string, owner: string, now: number): boolean {
		const known = this.#find(session);
		if (known && isAlive(known, now) && !isSame(known.owner, owner)) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				`the session id ${quote(session)} was issued before, to another owner. getSessionId must make a new one each time, for example crypto.randomUUID().`,
			);
		}
		this.#database.exec(
			`INSERT INTO tmcp_registrations (session_id, owner, expires_at) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET owner = excluded.owner,
			expires_at = CASE WHEN expires_at IS NULL THEN NULL ELSE excluded.expires_at END`,
			session,
			owner,
			this.#deadline(now),
		);
		this.#onKept();
		return known !== undefined && !isAlive(known, now);
	}

	/**
	 * Whether the session was registered for this owner and is alive; if so, it goes on living. Where it is not, the work
	 * is the same whatever the reason.
	 * @throws `SQLITE_MISSING`
	 */
	admits(session: string, owner: string, now: number): boolean {
		const known = this.#find(session);
		const isOwned = isSame(known?.owner ?? NOBODY, owner);
		if (!isOwned || !known || !isAlive(known, now)) return false;
		this.#renew(session, now);
		return true;
	}

	/** The session has a stream: it does not expire. */
	hold(session: string): void {
		this.#existing?.exec(
			'UPDATE tmcp_registrations SET expires_at = NULL WHERE session_id = ? AND expires_at IS NOT NULL',
			session,
		);
	}

	/** The session has no stream any more: from now on it has its whole time. */
	release(session: string, now: number): void {
		const released = this.#existing?.exec(
			'UPDATE tmcp_registrations SET expires_at = ? WHERE session_id = ? AND expires_at IS NULL',
			this.#deadline(now),
			session,
		);
		if (released && released.rowsWritten > 0) this.#onKept();
	}

	/** All streams are gone with an instance of the object that was not told of their end. */
	releaseAll(now: number): void {
		const released = this.#existing?.exec(
			'UPDATE tmcp_registrations SET expires_at = ? WHERE expires_at IS NULL',
			this.#deadline(now),
		);
		if (released && released.rowsWritten > 0) this.#onKept();
	}

	delete(session: string): void {
		this.#existing?.exec('DELETE FROM tmcp_registrations WHERE session_id = ?', session);
	}

	/** Delete what has expired, some of it. Nothing depends on when that is done: it is not admitted any more. */
	purge(now: number): void {
		this.#existing?.exec(
			`DELETE FROM tmcp_registrations WHERE session_id IN
			(SELECT session_id FROM tmcp_registrations WHERE expires_at <= ? LIMIT ?)`,
			now,
			PURGE_LIMIT,
		);
	}

	/** When the next is to be purged, in milliseconds since 1970; `undefined` where there is none. */
	get nextPurge(): number | undefined {
		const first = this.#existing
			?.exec<{ at: number | null }>('SELECT MIN(expires_at) AS at FROM tmcp_registrations')
			.one();
		return first?.at ? first.at + this.#ttlMs / PARTS : undefined;
	}

	/** It is written only where the last sign of life that was is old enough. */
	#renew(session: string, now: number): void {
		this.#existing?.exec(
			'UPDATE tmcp_registrations SET expires_at = ? WHERE session_id = ? AND expires_at <= ?',
			this.#deadline(now),
			session,
			now + this.#ttlMs,
		);
	}

	/** Late enough that a request for which it was not renewed still has its whole time before it. */
	#deadline(now: number): number {
		return now + this.#ttlMs + this.#ttlMs / PARTS;
	}

	#find(session: string): Registration | undefined {
		const [row] = this.#database
			.exec<{ owner: string; expires_at: number | null }>(
				'SELECT owner, expires_at FROM tmcp_registrations WHERE session_id = ?',
				session,
			)
			.toArray();
		return row && { owner: row.owner, expiresAt: row.expires_at ?? undefined };
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

function isAlive({ expiresAt }: Registration, now: number): boolean {
	return expiresAt === undefined || expiresAt > now;
}

/** Takes the same time whatever the two are, so that it tells nothing of a hash but whether it is this one. */
function isSame(owner: string, other: string): boolean {
	const encoder = new TextEncoder();
	return crypto.subtle.timingSafeEqual(encoder.encode(owner), encoder.encode(other));
}
