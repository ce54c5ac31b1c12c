import { newEpoch } from '../../wire/event-id.ts';
import { PARTS } from '../alarm.ts';
import type { LogExtent } from './replay.ts';
import { cut, type RetentionBounds } from './retention.ts';

/** One thing that was sent. */
export interface LoggedEvent {
	seq: number;
	/** `null` where it was too large to be kept. */
	data: string | null;
}

/** Who gets an event: sessions by name; all sessions; or subscriptions, which match it. */
export type Audience =
	/** `waits`: whether one of them has had no stream yet. */
	| { kind: 'sessions'; sessions: readonly string[]; waits: boolean }
	| { kind: 'all' }
	| { kind: 'subscriptions' };

/** What is in the log at a moment. */
export interface LogStats {
	events: number;
	bytes: number;
}

/**
 * The largest payload that is kept, in bytes, with its addressees: SQLite in an object takes 2 MB in a row
 * (https://developers.cloudflare.com/durable-objects/platform/limits/).
 */
export const MAX_LOGGED_BYTES = 2_000_000 - 1_000;

const EPOCH_KEY = 'tmcp:epoch';

/** Around and between the ids of an audience. No session id has it. */
const SEPARATOR = '\n';

/**
 * What was sent, kept for those who come back for it: one row an event, however many get it. Places are counted without
 * holes, the newest event is never cut, and each row has the bytes of all before it, so that the extent of the log can be
 * read off two rows.
 */
export class EventLog {
	#sql: SqlStorage;
	#bounds: RetentionBounds;
	#onLost: (session: string, seq: number) => void;
	#epoch: string;
	#head = 0;
	#floor = 0;
	/** Bytes of all events that ever were, and of those that were cut. */
	#total = 0;
	#cutBytes = 0;

	/** @param onLost told of each session whose event was cut while it waited for the session */
	constructor(
		storage: DurableObjectStorage,
		sql: SqlStorage,
		bounds: RetentionBounds,
		onLost: (session: string, seq: number) => void,
	) {
		this.#sql = sql;
		this.#bounds = bounds;
		this.#onLost = onLost;
		this.#epoch = storage.kv.get<string>(EPOCH_KEY) ?? newEpoch();
		if (storage.kv.get(EPOCH_KEY) === undefined) storage.kv.put(EPOCH_KEY, this.#epoch);
		this.reload();
	}

	/** What is stored was changed by somebody else. */
	reload(): void {
		const [oldest, newest] = [this.#end('ASC'), this.#end('DESC')];
		this.#head = newest?.seq ?? 0;
		this.#floor = oldest ? oldest.seq - 1 : 0;
		this.#total = newest?.total ?? 0;
		this.#cutBytes = oldest ? oldest.total - oldest.bytes : 0;
	}

	get extent(): LogExtent {
		return { shard: 0, epoch: this.#epoch, head: this.#head, floor: this.#floor };
	}

	get stats(): LogStats {
		return { events: this.#head - this.#floor, bytes: this.#total - this.#cutBytes };
	}

	/** What is too large leaves its place, so that whoever comes back for it is told that something is missing. */
	append(
		audience: Audience,
		data: string,
		now: number,
		broadcastId: string | undefined,
	): { seq: number; isKept: boolean } {
		const names = audience.kind === 'sessions' ? encodeSessions(audience.sessions) : '';
		const [dataBytes, namesBytes] = [byteLength(data), byteLength(names)];
		const isKept = dataBytes + namesBytes <= MAX_LOGGED_BYTES;
		// Where even the names are too many, it was for all.
		const address = namesBytes <= MAX_LOGGED_BYTES ? audience : { kind: 'all' as const };
		const isNamed = address.kind === 'sessions';
		const bytes = (isKept ? dataBytes : 0) + (isNamed ? namesBytes : 0);
		const seq = this.#head + 1;
		const total = this.#total + bytes;
		this.#sql.exec(
			`INSERT INTO tmcp_events (seq, at, bytes, total, kind, waits, broadcast_id, audience, data)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			seq,
			now,
			bytes,
			total,
			address.kind,
			isNamed && address.waits ? 1 : 0,
			broadcastId ?? null,
			isNamed ? names : null,
			isKept ? data : null,
		);
		[this.#head, this.#total] = [seq, total];
		this.purge(now);
		return { seq, isKept };
	}

	/** The ids of the newest broadcasts, newest first, and when each was sent: read only as far as needed. */
	recentBroadcasts(): Iterable<{ id: string | null; at: number }> {
		return this.#sql.exec<{ id: string | null; at: number }>(
			'SELECT broadcast_id AS id, at FROM tmcp_events ORDER BY seq DESC',
		);
	}

	/** What a session missed after a place: what was sent to it by name and, since it is known, to all. */
	missedBySession(session: string, after: number, since: number): Iterable<LoggedEvent> {
		return this.#sql.exec<{ seq: number; data: string | null }>(
			`SELECT seq, data FROM tmcp_events WHERE seq > ?
			AND (instr(audience, ?) > 0 OR (kind = 'all' AND seq > ?)) ORDER BY seq`,
			after,
			encodeSessions([session]),
			since,
		);
	}

	/** What a session missed that has had no stream yet: only those events are looked at that wait for such a one. */
	missedBeforeFirstStream(session: string, since: number): Iterable<LoggedEvent> {
		return this.#sql.exec<{ seq: number; data: string | null }>(
			`SELECT seq, data FROM tmcp_events WHERE waits = 1 AND instr(audience, ?) > 0
			UNION ALL
			SELECT seq, data FROM tmcp_events WHERE kind = 'all' AND seq > ?
			ORDER BY seq`,
			encodeSessions([session]),
			since,
		);
	}

	/** What all subscriptions missed; each takes what it matches. */
	missedBySubscriptions(after: number): Iterable<LoggedEvent> {
		return this.#sql.exec<{ seq: number; data: string | null }>(
			"SELECT seq, data FROM tmcp_events WHERE seq > ? AND kind = 'subscriptions' ORDER BY seq",
			after,
		);
	}

	/**
	 * Leave nothing that was meant for a session. The places stay, so that they are counted without holes.
	 * @param since the place after which the session has had streams
	 */
	forget(session: string, since: number): void {
		const name = encodeSessions([session]);
		this.#sql.exec(
			`UPDATE tmcp_events
			SET audience = replace(audience, ?1, ?2), data = CASE audience WHEN ?1 THEN NULL ELSE data END
			WHERE instr(audience, ?1) > 0 AND seq IN (
				SELECT seq FROM tmcp_events WHERE waits = 1 UNION SELECT seq FROM tmcp_events WHERE seq > ?3
			)`,
			name,
			SEPARATOR,
			since,
		);
	}

	/** Leave nothing at all: a log that comes after this one begins anew. */
	static clear(storage: DurableObjectStorage, sql: SqlStorage): void {
		if (storage.kv.get(EPOCH_KEY) === undefined) return;
		sql.exec('DELETE FROM tmcp_events');
		storage.kv.delete(EPOCH_KEY);
	}

	/** Cut what is over the bounds. */
	purge(now: number): void {
		const oldestFirst = this.#sql.exec<{ seq: number; bytes: number; at: number }>(
			'SELECT seq, bytes, at FROM tmcp_events ORDER BY seq',
		);
		const { events: count, bytes } = this.stats;
		const going = cut(this.#bounds, { count, bytes }, oldestFirst, now);
		if (!going) return;
		const lost = this.#sql.exec<{ seq: number; audience: string }>(
			'SELECT seq, audience FROM tmcp_events WHERE waits = 1 AND seq <= ? ORDER BY seq',
			going.upTo,
		);
		for (const { seq, audience } of lost) {
			for (const session of decodeSessions(audience)) this.#onLost(session, seq);
		}
		this.#sql.exec('DELETE FROM tmcp_events WHERE seq <= ?', going.upTo);
		this.#floor = going.upTo;
		this.#cutBytes += going.bytes;
	}

	/** When to purge what gets too old, in milliseconds since 1970; `undefined` where there is nothing that may go. */
	get nextPurge(): number | undefined {
		if (this.stats.events <= 1) return undefined;
		const { maxAgeMs } = this.#bounds;
		const oldest = this.#end('ASC');
		return oldest && oldest.at + maxAgeMs + maxAgeMs / PARTS;
	}

	/** The oldest event, or the newest. */
	#end(order: 'ASC' | 'DESC') {
		const [event] = this.#sql
			.exec<{ seq: number; at: number; bytes: number; total: number }>(
				`SELECT seq, at, bytes, total FROM tmcp_events ORDER BY seq ${order} LIMIT 1`,
			)
			.toArray();
		return event;
	}
}

function encodeSessions(sessions: readonly string[]): string {
	return SEPARATOR + sessions.join(SEPARATOR) + SEPARATOR;
}

function decodeSessions(audience: string): string[] {
	return audience.split(SEPARATOR).filter((session) => session !== '');
}

function byteLength(text: string): number {
	return new TextEncoder().encode(text).byteLength;
}
