import { parseEventId } from '../../wire/event-id.ts';
import { type Audience, EventLog, type LoggedEvent, type LogStats } from './event-log.ts';
import type { Perishable } from '../alarm.ts';
import { type LogExtent, type ReplayStart, replayStart, type StoredPlace } from './replay.ts';
import type { RetentionBounds } from './retention.ts';
import { existingDatabase, openDatabase } from '../database.ts';
import { type KnownSession, SessionStore } from '../sessions/session-store.ts';

/** Hand over what was missed. */
export type Handover = (event: { seq: number; data: string }) => void;

const TOLD_KEY = 'tmcp:told';

/** How much of the past is kept, and how long a session without a stream is known, in milliseconds. */
export interface HistoryBounds extends RetentionBounds {
	sessionTtlMs: number;
}

/**
 * What an object remembers for those who come back: the events that it sent, and how far each session was served. An
 * object without SQLite, or whose log is switched off, has none.
 */
export class History {
	#log: EventLog;
	#sessions: SessionStore;
	#storage: DurableObjectStorage;
	#maxAgeMs: number;
	#onKept: () => void;
	#gaps = 0;

	private constructor(
		storage: DurableObjectStorage,
		sql: SqlStorage,
		bounds: HistoryBounds,
		onKept: () => void,
	) {
		this.#storage = storage;
		this.#maxAgeMs = bounds.maxAgeMs;
		this.#onKept = onKept;
		this.#sessions = new SessionStore(sql, Math.max(bounds.sessionTtlMs, bounds.maxAgeMs));
		this.#log = new EventLog(storage, sql, bounds, (session, seq) =>
			this.#sessions.note(session, undefined, seq - 1, Date.now()),
		);
	}

	/** @param onKept told when something is kept that gets old */
	static open(
		storage: DurableObjectStorage,
		bounds: HistoryBounds | undefined,
		onKept: () => void,
	): History | undefined {
		const sql = bounds ? openDatabase(storage) : existingDatabase(storage);
		if (!sql) return undefined;
		if (bounds) return new History(storage, sql, bounds, onKept);
		// It was switched off: what it kept until then would stay for ever.
		EventLog.clear(storage, sql);
		SessionStore.clear(sql);
		storage.kv.delete(TOLD_KEY);
		return undefined;
	}

	/** Do all of some work or, where it throws, nothing. */
	atOnce<T>(work: () => T): T {
		try {
			return this.#storage.transactionSync(work);
		} catch (error) {
			this.#log.reload();
			this.#sessions.reload();
			throw error;
		}
	}

	get extent(): LogExtent {
		return this.#log.extent;
	}

	/** `gaps`: how often somebody came back for what was no longer there, in the life of this instance. */
	get stats(): LogStats & { waiting: number; gaps: number } {
		return { ...this.#log.stats, waiting: this.#sessions.waiting, gaps: this.#gaps };
	}

	/** How many known sessions have no stream. */
	get waiting(): number {
		return this.#sessions.waiting;
	}

	/** Whether this connection is the one that served the session last. */
	isServedBy(session: string, connectionId: string): boolean {
		return this.#sessions.get(session)?.connectionId === connectionId;
	}

	/** Whether the session has had no stream yet, or will be as one that had none before what is sent now is cut. */
	isNew(session: string): boolean {
		const known = this.#sessions.get(session);
		if (known?.connectionId === undefined) return true;
		return this.#sessions.isForgottenBy(known, Date.now() + 2 * this.#maxAgeMs);
	}

	/** Whether the session is known. */
	knows(session: string): boolean {
		return this.#sessions.get(session) !== undefined;
	}

	/** The connection that served the session is not to come back. */
	dismiss(session: string): void {
		this.#sessions.dismiss(session);
	}

	/** A session begins: from now on what is sent to all is for it, too, even before its first stream. */
	begin(session: string): void {
		const { head } = this.extent;
		this.#sessions.note(session, head, head, Date.now());
		this.#onKept();
	}

	/** A session without a stream shows that it lives. */
	touch(session: string): void {
		this.#sessions.touch(session, Date.now());
	}

	/** Where a stream of the session that this connection opens now starts. */
	startOf(session: string, connectionId: string, lastEventId: string | undefined): ReplayStart {
		return this.#start(this.#sessions.get(session), connectionId, lastEventId);
	}

	/** Begin to serve a session: hand over what it missed. @returns where it started */
	serve(
		session: string,
		connectionId: string,
		lastEventId: string | undefined,
		handOver: Handover,
	): ReplayStart {
		const known = this.#sessions.get(session);
		const start = this.#start(known, connectionId, lastEventId);
		const { after } = start;
		// One that has an event of this log, but of which no beginning is known, was here before and was forgotten since.
		const since = known?.since ?? (after > 0 ? after : this.extent.head);
		const isFirst = known?.connectionId === undefined && after === 0;
		const missed = isFirst
			? this.#log.missedBeforeFirstStream(session, since)
			: this.#log.missedBySession(session, after, since);
		const { first, ...served } = this.#replay(start, missed, handOver);
		// Of what was before the first thing that a session ever gets, nothing is for it.
		const started = isFirst ? (first ?? this.extent.head + 1) - 1 : after;
		this.#sessions.open(session, connectionId, started, since, Date.now());
		return served;
	}

	/** Serve a session no longer, whichever connection did: it was cut off. */
	cutOff(session: string): void {
		const { connectionId, position } = this.#sessions.get(session) ?? {};
		if (connectionId !== undefined && position === undefined) this.served(session, connectionId);
	}

	/** The connection is gone. @param position up to which event it served the session (default: all) */
	served(session: string, connectionId: string, position = this.extent.head): void {
		this.#sessions.close(session, connectionId, Math.min(position, this.extent.head), Date.now());
		this.#onKept();
	}

	/** All streams are gone with an instance of the object that was not told of their end. */
	servedAll(): void {
		if (this.#sessions.closeAll(this.extent.head, Date.now())) this.#onKept();
	}

	/** Where a subscription starts that opens now: it is not known from before. */
	startOfSubscription(lastEventId: string | undefined): ReplayStart {
		const { head } = this.extent;
		return replayStart(this.extent, asked(lastEventId), { after: head, needs: head });
	}

	/** Begin to serve a subscription: hand over what all missed, for it to match, if it comes back. @returns where it started */
	serveSubscription(lastEventId: string | undefined, handOver: Handover): ReplayStart {
		const start = this.startOfSubscription(lastEventId);
		const missed = lastEventId === undefined ? [] : this.#log.missedBySubscriptions(start.after);
		const { after, recovered } = this.#replay(start, missed, handOver);
		return { after, recovered };
	}

	/** The ids of the newest broadcasts, newest first, and when each was sent. */
	recentBroadcasts(): Iterable<{ id: string | null; at: number }> {
		return this.#log.recentBroadcasts();
	}

	append(audience: Audience, data: string, broadcastId: string | undefined) {
		const appended = this.#log.append(audience, data, Date.now(), broadcastId);
		this.#onKept();
		return appended;
	}

	/**
	 * The place that all streams are to be told, because the log has moved past the last one that they were: else one to
	 * which nothing was sent for long could not say, when it comes back, that it has missed nothing.
	 */
	takePlaceToTell(): number | undefined {
		const { floor, head } = this.extent;
		if (floor === 0 || floor < (this.#storage.kv.get<number>(TOLD_KEY) ?? 0)) return undefined;
		this.#storage.kv.put(TOLD_KEY, head);
		return head;
	}

	/** Leave nothing of a session that has ended. */
	forget(session: string): void {
		this.#log.forget(session, this.#sessions.get(session)?.since ?? this.extent.head);
		this.#sessions.delete(session);
	}

	/** What it keeps that gets old. */
	get keepers(): Perishable[] {
		return [this.#log, this.#sessions];
	}

	#start(
		known: KnownSession | undefined,
		connectionId: string,
		lastEventId: string | undefined,
	): ReplayStart {
		return replayStart(this.extent, asked(lastEventId), this.#placeOf(known, connectionId));
	}

	/** One by one, so that they are never all in memory, and then the place up to which that is all. */
	#replay(
		start: ReplayStart,
		missed: Iterable<LoggedEvent>,
		handOver: Handover,
	): ReplayStart & { first: number | undefined } {
		let { recovered } = start;
		let first: number | undefined;
		for (const { seq, data } of missed) {
			first ??= seq;
			if (data === null) recovered = false;
			else handOver({ seq, data });
		}
		handOver({ seq: this.extent.head, data: '' });
		if (!recovered) this.#gaps++;
		return { ...start, recovered, first };
	}

	#placeOf(known: KnownSession | undefined, connectionId: string): StoredPlace {
		const { head } = this.extent;
		if (known?.connectionId === undefined) return { after: 0, needs: known?.position ?? head };
		// A connection that says of itself that it has nothing was never told that it was open: the object went away.
		const isFirstSocket = known.connectionId === connectionId;
		// A session that is being served until now, by a stream that is about to be superseded, was handed everything.
		const after = (isFirstSocket ? known.started : known.position) ?? head;
		return { after, needs: after };
	}
}

function asked(lastEventId: string | undefined) {
	return lastEventId === undefined ? undefined : (parseEventId(lastEventId) ?? 'unknown');
}
