import * as channels from '../../diagnostics/channels.ts';
import type { StreamKind } from '../../diagnostics/events.ts';
import { newEpoch } from '../../wire/event-id.ts';
import { shardOf } from '../../wire/home.ts';
import { byteLength } from '../../wire/limits.ts';
import { STREAM_TAG } from '../../wire/names.ts';
import { LATENESS } from '../alarm.ts';
import { here } from '../here.ts';
import type { LogExtent } from './replay.ts';
import { cut, type RetentionBounds } from './retention.ts';

/** One thing that was sent. */
export type LoggedEvent = {
	seq: number;
	/** `null` where it was too large to be kept. */
	data: string | null;
};

/** Who gets an event: sessions by name, all sessions, or the subscriptions that match it. */
export type Audience =
	| { kind: 'sessions'; sessions: readonly string[] }
	| { kind: 'all' }
	| { kind: 'subscriptions' };

/** An event, as an operator looks at it. */
export type NewestEvent = {
	seq: number;
	at: number;
	kind: 'all' | 'sessions' | 'subscriptions' | 'lost';
	/** Of payload and addressees. */
	bytes: number;
	/** The beginning of the payload; `null` where it was too large to be kept. */
	head: string | null;
	/** How many sessions it names. */
	sessions: number | null;
};

/** What a session missed. */
export interface Missed {
	session: string;
	/** Events after this one, */
	after: number;
	/** and, once more, those after the beginning of the session that were sent until this time. */
	repeat: { since: number; until: number } | undefined;
}

/**
 * Largest payload that is kept, in bytes, with its addressees: SQLite in an object takes 2 MB in a row
 * (https://developers.cloudflare.com/durable-objects/platform/limits/).
 */
const MAX_LOGGED_BYTES = 2_000_000 - 1_000;

/** How long the id of a broadcast is remembered, in milliseconds: a retry comes within seconds. */
export const SENT_ID_TTL_MS = 60_000;

/** How often rows are deleted that only kept the id of a broadcast, in milliseconds. */
const STUB_PURGE_INTERVAL_MS = 10_000;

const EPOCH_KEY = 'tmcp:epoch';

/** Set when a stream opens. An instance that wakes with it set and has no sockets knows that its predecessor lost some. */
const STREAMS_OPENED_KEY = 'tmcp:streams_opened';

/** The newest event when all streams were told their position last. */
const TOLD_KEY = 'tmcp:told';

/** Around and between the ids of an audience. No session id has it. */
const SEPARATOR = '\n';

/** Whether an event was not cut, as a column. */
const IS_WHOLE = "kind <> 'cut' AS isWhole";

type End = { seq: number; at: number; bytes: number; total: number; isWhole: number };

/**
 * What was sent, kept for those who come back for it: one row an event, however many get it. Positions are counted without
 * holes, the newest event is never cut, and each row has the bytes of all before it, so that two rows tell how much the
 * log holds.
 *
 * A row of kind `cut` is an event whose payload was cut within a minute: it keeps the id of its broadcast. A row of kind
 * `lost` takes a position where the object lost its streams without being told (a deploy, a crash). These positions are
 * also in a table of their own, where they outlive the events around them. An index of the log instead would slow down
 * each insert.
 */
export class EventLog {
	#ctx: DurableObjectState;
	#sql: SqlStorage;
	#bounds: RetentionBounds;
	#shard: number;
	#epoch: string;
	#head = 0;
	#floor = 0;
	/** Bytes of all events that ever were, and of those that were cut. */
	#total = 0;
	#cutBytes = 0;
	/** When the oldest event was sent; `undefined` for an empty log. */
	#oldestAt: number | undefined;
	#toldAt: number | undefined;
	#stubsPurgedAt = 0;
	#markAgeMs: number;
	/** Whether this instance has marked what its predecessor lost, and noted that it has streams. */
	#hasMarkedLoss = false;
	#hasNotedStreams = false;
	/** How often a stream came back for what was no longer there, since the object woke. */
	#gaps = 0;

	/** @param markAgeMs how long it is kept where streams were lost: longer than a session without a stream lives */
	constructor(
		ctx: DurableObjectState,
		sql: SqlStorage,
		bounds: RetentionBounds,
		markAgeMs: number,
	) {
		this.#ctx = ctx;
		this.#sql = sql;
		this.#bounds = bounds;
		this.#markAgeMs = markAgeMs;
		this.#shard = shardOf(ctx.id.name);
		const { kv } = ctx.storage;
		const epoch = kv.get<string>(EPOCH_KEY);
		this.#epoch = epoch ?? newEpoch();
		if (epoch === undefined) kv.put(EPOCH_KEY, this.#epoch);
		this.reload();
	}

	/** What is stored was changed without this instance's doing: a transaction was rolled back. */
	reload(): void {
		const newest = this.#end('ORDER BY seq DESC LIMIT 1');
		const oldest = newest && this.#oldestWhole(newest);
		this.#head = newest?.seq ?? 0;
		this.#floor = oldest ? oldest.seq - 1 : 0;
		this.#total = newest?.total ?? 0;
		this.#cutBytes = oldest ? oldest.total - oldest.bytes : 0;
		this.#oldestAt = oldest?.at;
		this.#toldAt = undefined;
	}

	get extent(): LogExtent {
		return { shard: this.#shard, epoch: this.#epoch, head: this.#head, floor: this.#floor };
	}

	get head(): number {
		return this.#head;
	}

	get maxAgeMs(): number {
		return this.#bounds.maxAgeMs;
	}

	get stats(): { events: number; bytes: number; gaps: number } {
		return {
			events: this.#head - this.#floor,
			bytes: this.#total - this.#cutBytes,
			gaps: this.#gaps,
		};
	}

	/**
	 * What is too large leaves a row without a payload, so that a session that comes back for it is told of a gap.
	 * @param broadcastId by which a retry is known
	 */
	append(
		audience: Audience,
		data: string,
		now: number,
		broadcastId: string | undefined,
	): { seq: number; isKept: boolean } {
		this.#markLoss(now);
		const names = audience.kind === 'sessions' ? encodeSessions(audience.sessions) : '';
		const [dataBytes, namesBytes] = [byteLength(data), byteLength(names)];
		const isKept = dataBytes + namesBytes <= MAX_LOGGED_BYTES;
		// Where even the names are too many, it is stored as if it had been for all.
		const kind = namesBytes <= MAX_LOGGED_BYTES ? audience.kind : 'all';
		const isNamed = kind === 'sessions';
		const bytes = (isKept ? dataBytes : 0) + (isNamed ? namesBytes : 0);
		const seq = this.#head + 1;
		this.#insert(seq, now, bytes, kind, broadcastId, isNamed ? names : null, isKept ? data : null);
		this.cut(now);
		return { seq, isKept };
	}

	/** The ids of the broadcasts of the last minute. Reads one row for each of them, and one more. */
	recentIds(now: number): string[] {
		const ids: string[] = [];
		const newestFirst = this.#sql.exec<{ id: string | null; at: number }>(
			'SELECT broadcast_id AS id, at FROM tmcp_events ORDER BY seq DESC',
		);
		for (const { id, at } of newestFirst) {
			if (at <= now - SENT_ID_TTL_MS) break;
			if (id !== null) ids.push(id);
		}
		return ids;
	}

	/** What a session missed, in order: what was sent to it by name, and to all. */
	missedBySession({ session, after, repeat }: Missed): Iterable<LoggedEvent> {
		return this.#sql.exec<LoggedEvent>(
			`SELECT seq, data FROM tmcp_events
			WHERE seq > ?1 AND (seq > ?2 OR at <= ?3) AND (kind = 'all' OR instr(audience, ?4) > 0)
			ORDER BY seq`,
			Math.min(repeat?.since ?? after, after),
			after,
			repeat?.until ?? 0,
			encodeSessions([session]),
		);
	}

	/**
	 * How many events of the log were sent to each of these sessions after a position.
	 * @param after by session
	 */
	countMissed(after: ReadonlyMap<string, number>): Map<string, number> {
		const counts = new Map<string, number>();
		const events = this.#sql.exec<{ seq: number; kind: string; audience: string | null }>(
			"SELECT seq, kind, audience FROM tmcp_events WHERE seq > ? AND kind IN ('all', 'sessions') ORDER BY seq",
			after.size === 0 ? this.#head : Math.min(...after.values()),
		);
		for (const { seq, kind, audience } of events) {
			for (const session of kind === 'all' ? after.keys() : (audience ?? '').split(SEPARATOR)) {
				if ((after.get(session) ?? seq) < seq) counts.set(session, (counts.get(session) ?? 0) + 1);
			}
		}
		return counts;
	}

	/**
	 * The newest events between two positions, newest first, each with the beginning of its payload. Reads one row for each,
	 * and one for each mark of lost streams.
	 */
	newest(range: { after: number; before: number; limit: number; chars: number }): NewestEvent[] {
		return this.#sql
			.exec<NewestEvent>(
				`SELECT seq, at, kind, bytes, SUBSTR(data, 1, ?) AS head,
				LENGTH(audience) - LENGTH(REPLACE(audience, '${SEPARATOR}', '')) - 1 AS sessions
				FROM tmcp_events WHERE seq > ? AND seq < ? ORDER BY seq DESC LIMIT ?`,
				range.chars,
				Math.max(range.after, this.#floor),
				range.before,
				range.limit,
			)
			.toArray();
	}

	/** What all subscriptions missed; each takes what it matches. */
	missedBySubscriptions(after: number): Iterable<LoggedEvent> {
		return this.#sql.exec<LoggedEvent>(
			"SELECT seq, data FROM tmcp_events WHERE seq > ? AND kind = 'subscriptions' ORDER BY seq",
			after,
		);
	}

	/** A stream that came back was handed what it missed. @param recovered whether that was all */
	noteReplay(
		of: { stream: StreamKind; session?: string },
		tally: channels.Tally | undefined,
		recovered: boolean,
	): void {
		if (!recovered) this.#gaps++;
		if (tally && tally.messages > 0) {
			channels.replayed.publish({ ...here(this.#ctx), ...of, ...tally });
		}
		if (!recovered && channels.gap.hasSubscribers) {
			channels.gap.publish({ ...here(this.#ctx), ...of });
		}
	}

	/** The object has a stream, so its predecessor has lost none: they are lost together. */
	noteAlive(): void {
		this.#hasMarkedLoss = true;
	}

	/** A stream opens: should it be lost with the object, the next instance has to mark that. */
	noteStream(now: number): void {
		this.#markLoss(now);
		if (this.#hasNotedStreams) return;
		this.#hasNotedStreams = true;
		const { kv } = this.#ctx.storage;
		if (kv.get(STREAMS_OPENED_KEY) === undefined) kv.put(STREAMS_OPENED_KEY, true);
	}

	/**
	 * The last event before the object lost a stream that had opened when `position` was the newest event: the newest event
	 * of all where nothing was sent since.
	 */
	lostAt(position: number): number {
		const [mark] = this.#sql
			.exec<{ seq: number }>(
				'SELECT seq FROM tmcp_losses WHERE seq > ? ORDER BY seq LIMIT 1',
				position,
			)
			.toArray();
		return mark?.seq ?? this.#head;
	}

	/** Cut the oldest events until the log is within its bounds. */
	cut(now: number): void {
		this.#purgeStubs(now);
		const { events: count, bytes } = this.stats;
		const { maxCount, maxBytes, maxAgeMs } = this.#bounds;
		const isTooOld = this.#oldestAt !== undefined && now - this.#oldestAt >= maxAgeMs;
		if (count <= 1 || !(count > maxCount || bytes > maxBytes || isTooOld)) return;
		const oldestFirst = this.#sql.exec<{ seq: number; bytes: number; at: number }>(
			'SELECT seq, bytes, at FROM tmcp_events WHERE seq > ? ORDER BY seq',
			this.#floor,
		);
		const going = cut(this.#bounds, { count, bytes }, oldestFirst, now);
		if (!going) return;
		this.#keepIdsOf(this.#floor, going.upTo, now);
		this.#sql.exec(
			"DELETE FROM tmcp_events WHERE seq > ? AND seq <= ? AND kind <> 'cut'",
			this.#floor,
			going.upTo,
		);
		this.#floor = going.upTo;
		this.#cutBytes += going.bytes;
		this.#oldestAt = this.#end(`WHERE seq > ${going.upTo} ORDER BY seq LIMIT 1`)?.at;
	}

	/** When to cut what gets too old, in milliseconds since 1970; `undefined` where there is nothing to cut. */
	get nextCutAt(): number | undefined {
		if (this.#oldestAt === undefined || this.stats.events <= 1) return undefined;
		return this.#oldestAt + this.#bounds.maxAgeMs * (1 + LATENESS);
	}

	/**
	 * The position that all streams are to be told now: the log has been cut past the one that they were told last, and a
	 * stream to which nothing was sent since could not say, when it comes back, that it has missed nothing.
	 */
	takePositionToTell(): number | undefined {
		if (this.#floor === 0) return undefined;
		const { kv } = this.#ctx.storage;
		this.#toldAt ??= kv.get<number>(TOLD_KEY) ?? 0;
		if (this.#floor < this.#toldAt) return undefined;
		this.#toldAt = this.#head;
		kv.put(TOLD_KEY, this.#head);
		return this.#head;
	}

	/** Leave nothing: a log that comes after this one begins anew. @returns whether there was one */
	static clear(storage: DurableObjectStorage, sql: SqlStorage): boolean {
		if (storage.kv.get(EPOCH_KEY) === undefined) return false;
		sql.exec('DELETE FROM tmcp_events; DELETE FROM tmcp_losses');
		for (const key of [EPOCH_KEY, TOLD_KEY, STREAMS_OPENED_KEY]) storage.kv.delete(key);
		return true;
	}

	/** Before anything changes: what was sent until now is what the lost streams may have got. */
	#markLoss(now: number): void {
		if (this.#hasMarkedLoss) return;
		this.#hasMarkedLoss = true;
		const { kv } = this.#ctx.storage;
		if (kv.get(STREAMS_OPENED_KEY) === undefined) return;
		// Takes tens of milliseconds where there are thousands, so it is asked last.
		if (this.#ctx.getWebSockets(STREAM_TAG).length > 0) return;
		kv.delete(STREAMS_OPENED_KEY);
		this.#insert(this.#head + 1, now, 0, 'lost', undefined, null, null);
		this.#sql.exec('DELETE FROM tmcp_losses WHERE at <= ?', now - this.#markAgeMs);
		this.#sql.exec('INSERT INTO tmcp_losses (seq, at) VALUES (?, ?)', this.#head, now);
	}

	#insert(
		seq: number,
		now: number,
		bytes: number,
		kind: string,
		broadcastId: string | undefined,
		audience: string | null,
		data: string | null,
	): void {
		const total = this.#total + bytes;
		this.#sql.exec(
			`INSERT INTO tmcp_events (seq, at, bytes, total, kind, broadcast_id, audience, data)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			seq,
			now,
			bytes,
			total,
			kind,
			broadcastId ?? null,
			audience,
			data,
		);
		[this.#head, this.#total] = [seq, total];
		this.#oldestAt ??= now;
	}

	/** An event of the last minute is known by the id of its broadcast even where its payload is cut. */
	#keepIdsOf(after: number, upTo: number, now: number): void {
		const [newest] = this.#sql
			.exec<{ at: number }>('SELECT at FROM tmcp_events WHERE seq = ?', upTo)
			.toArray();
		if (!newest || newest.at <= now - SENT_ID_TTL_MS) return;
		this.#sql.exec(
			`UPDATE tmcp_events SET kind = 'cut', audience = NULL, data = NULL
			WHERE seq > ? AND seq <= ? AND at > ? AND broadcast_id IS NOT NULL`,
			after,
			upTo,
			now - SENT_ID_TTL_MS,
		);
	}

	#purgeStubs(now: number): void {
		if (this.#floor === 0 || now - this.#stubsPurgedAt < STUB_PURGE_INTERVAL_MS) return;
		this.#stubsPurgedAt = now;
		this.#sql.exec(
			'DELETE FROM tmcp_events WHERE seq <= ? AND at <= ?',
			this.#floor,
			now - SENT_ID_TTL_MS,
		);
	}

	/**
	 * The oldest event that was not cut. After it none was, and there is no hole: so it is found by halves, however many rows
	 * of cut ones there are.
	 */
	#oldestWhole(newest: End): End {
		const first = this.#end('ORDER BY seq LIMIT 1');
		if (!first || first.isWhole) return first ?? newest;
		let [lastCut, oldest] = [first.seq, newest];
		while (oldest.seq - lastCut > 1) {
			const middle = Math.floor((lastCut + oldest.seq) / 2);
			const event = this.#end(`WHERE seq = ${middle}`);
			if (event?.isWhole) oldest = event;
			else lastCut = middle;
		}
		return oldest;
	}

	#end(where: string): End | undefined {
		return this.#sql
			.exec<End>(`SELECT seq, at, bytes, total, ${IS_WHOLE} FROM tmcp_events ${where}`)
			.toArray()[0];
	}
}

function encodeSessions(sessions: readonly string[]): string {
	return SEPARATOR + sessions.join(SEPARATOR) + SEPARATOR;
}
