import { newEpoch } from '../event-id.ts';
import type { LogExtent } from './replay.ts';
import { cut, type Kept, type RetentionBounds } from './retention.ts';

/** One thing that was sent. */
export interface LoggedEvent {
	seq: number;
	data: string;
}

/** Who gets an event: streams of sessions, named or all; or subscriptions, which match it. */
export type Audience =
	| { kind: 'stream'; sessions: readonly string[] | undefined }
	| { kind: 'subscription' };

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

/** How many of the newest broadcast ids are remembered: a retry comes within seconds. */
const REMEMBERED_BROADCASTS = 1_000;

/** Around and between the ids of an audience. No session id has it. */
const SEPARATOR = '\n';

/**
 * What was sent, kept for those who come back for it: one row an event, however many get it. Places are counted without
 * holes and the newest event is never cut, so the extent of the log can be read off its rows.
 */
export class EventLog {
	#sql: SqlStorage;
	#bounds: RetentionBounds;
	#epoch: string;
	#head: number;
	#count: number;
	#bytes: number;
	/** In the order of their coming. */
	#broadcasts: Set<string>;

	constructor(storage: DurableObjectStorage, sql: SqlStorage, bounds: RetentionBounds) {
		this.#sql = sql;
		this.#bounds = bounds;
		this.#epoch = storage.kv.get<string>(EPOCH_KEY) ?? newEpoch();
		if (storage.kv.get(EPOCH_KEY) === undefined) storage.kv.put(EPOCH_KEY, this.#epoch);
		const { head, count, bytes } = sql
			.exec<{ head: number; count: number; bytes: number }>(
				'SELECT IFNULL(MAX(seq), 0) AS head, COUNT(*) AS count, IFNULL(SUM(bytes), 0) AS bytes FROM tmcp_events',
			)
			.one();
		[this.#head, this.#count, this.#bytes] = [head, count, bytes];
		const known = sql
			.exec<{ id: string }>(
				'SELECT broadcast_id AS id FROM tmcp_events WHERE seq > ? AND broadcast_id IS NOT NULL ORDER BY seq',
				head - REMEMBERED_BROADCASTS,
			)
			.toArray();
		this.#broadcasts = new Set(known.map(({ id }) => id));
	}

	get extent(): LogExtent {
		return { shard: 0, epoch: this.#epoch, head: this.#head, floor: this.#head - this.#count };
	}

	get stats(): LogStats {
		return { events: this.#count, bytes: this.#bytes };
	}

	/** Whether this broadcast was appended before: a retry of it must not be sent twice. */
	has(broadcastId: string): boolean {
		return this.#broadcasts.has(broadcastId);
	}

	/** @returns the event's place, or `undefined` for one that is too large to be kept */
	append(audience: Audience, data: string, now: number, broadcastId?: string): number | undefined {
		const addressees = audience.kind === 'stream' ? encodeSessions(audience.sessions) : null;
		const bytes = byteLength(data) + byteLength(addressees ?? '');
		if (bytes > MAX_LOGGED_BYTES) return undefined;
		const seq = this.#head + 1;
		this.#sql.exec(
			'INSERT INTO tmcp_events VALUES (?, ?, ?, ?, ?, ?, ?)',
			seq,
			audience.kind,
			addressees,
			data,
			bytes,
			now,
			broadcastId ?? null,
		);
		this.#head = seq;
		this.#count++;
		this.#bytes += bytes;
		if (broadcastId !== undefined) this.#remember(broadcastId);
		this.purge(now);
		return seq;
	}

	/** What a session missed after a place: what was sent to it by name and, since it is known, to all. */
	missedBySession(session: string, after: number, since: number): Iterable<LoggedEvent> {
		return this.#sql.exec<{ seq: number; data: string }>(
			`SELECT seq, data FROM tmcp_events WHERE seq > ? AND kind = 'stream'
			AND (instr(audience, ?) > 0 OR (audience IS NULL AND seq > ?)) ORDER BY seq`,
			after,
			SEPARATOR + session + SEPARATOR,
			since,
		);
	}

	/** What all subscriptions missed; each takes what it matches. */
	missedBySubscriptions(after: number): Iterable<LoggedEvent> {
		return this.#sql.exec<{ seq: number; data: string }>(
			"SELECT seq, data FROM tmcp_events WHERE seq > ? AND kind = 'subscription' ORDER BY seq",
			after,
		);
	}

	/** Leave nothing that was meant for a session. The places stay, so that they are counted without holes. */
	forget(session: string): void {
		const name = SEPARATOR + session + SEPARATOR;
		this.#sql.exec(
			'UPDATE tmcp_events SET audience = replace(audience, ?, ?) WHERE instr(audience, ?) > 0',
			name,
			SEPARATOR,
			name,
		);
		this.#sql.exec("UPDATE tmcp_events SET data = '' WHERE audience = ?", SEPARATOR);
	}

	/** Cut what is over the bounds. */
	purge(now: number): void {
		const oldestFirst = this.#sql.exec<{ seq: number; bytes: number; at: number }>(
			'SELECT seq, bytes, at FROM tmcp_events ORDER BY seq',
		);
		const going = cut(this.#bounds, { count: this.#count, bytes: this.#bytes }, oldestFirst, now);
		if (!going) return;
		this.#sql.exec('DELETE FROM tmcp_events WHERE seq <= ?', going.upTo);
		this.#count -= going.count;
		this.#bytes -= going.bytes;
	}

	/** When the oldest event gets too old, in milliseconds since 1970; `undefined` where there is none that may go. */
	get nextExpiry(): number | undefined {
		if (this.#count <= 1) return undefined;
		const { at } = this.#sql
			.exec<{ at: number }>('SELECT at FROM tmcp_events ORDER BY seq LIMIT 1')
			.one();
		return at + this.#bounds.maxAgeMs;
	}

	#remember(broadcastId: string): void {
		this.#broadcasts.add(broadcastId);
		if (this.#broadcasts.size <= REMEMBERED_BROADCASTS) return;
		const [oldest] = this.#broadcasts;
		if (oldest !== undefined) this.#broadcasts.delete(oldest);
	}
}

function encodeSessions(sessions: readonly string[] | undefined): string | null {
	return sessions ? SEPARATOR + sessions.join(SEPARATOR) + SEPARATOR : null;
}

function byteLength(text: string): number {
	return new TextEncoder().encode(text).byteLength;
}

export type { Kept };
