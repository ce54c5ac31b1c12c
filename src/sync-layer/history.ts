import { parseEventId } from '../event-id.ts';
import { type Audience, EventLog, type LoggedEvent, type LogStats } from './event-log.ts';
import { type LogExtent, type ReplayStart, replayStart } from './replay.ts';
import type { RetentionBounds } from './retention.ts';
import { openDatabase } from './schema.ts';
import { SessionStore } from './session-store.ts';

/**
 * What an object remembers for those who come back: the events that it sent, and how far each session was served. An
 * object without SQLite, or whose log is switched off, has none.
 */
export class History {
	#ctx: DurableObjectState;
	#log: EventLog;
	#sessions: SessionStore;
	#maxAgeMs: number;
	#gaps = 0;

	private constructor(ctx: DurableObjectState, sql: SqlStorage, bounds: RetentionBounds) {
		this.#ctx = ctx;
		this.#log = new EventLog(ctx.storage, sql, bounds);
		this.#sessions = new SessionStore(sql);
		this.#maxAgeMs = bounds.maxAgeMs;
	}

	/** @param hasStreams whether the instance woke with open streams; if not, nobody told it that they are gone */
	static open(
		ctx: DurableObjectState,
		bounds: RetentionBounds | undefined,
		hasStreams: boolean,
	): History | undefined {
		const sql = bounds && openDatabase(ctx.storage);
		if (!sql) return undefined;
		const history = new History(ctx, sql, bounds);
		if (!hasStreams) history.#sessions.closeAll(history.extent.head, Date.now());
		return history;
	}

	get extent(): LogExtent {
		return this.#log.extent;
	}

	/** `gaps`: how often somebody came back for what was no longer there, in the life of this instance. */
	get stats(): LogStats & { waiting: number; gaps: number } {
		return { ...this.#log.stats, waiting: this.#sessions.waiting, gaps: this.#gaps };
	}

	/** Whether this connection is the one that served the session last. */
	isServedBy(session: string, connectionId: string): boolean {
		return this.#sessions.get(session)?.connectionId === connectionId;
	}

	/** Where a stream of the session that opens now starts. */
	startOf(session: string, lastEventId: string | undefined): ReplayStart {
		const known = this.#sessions.get(session);
		// One that is being served until now, by a stream that is about to be superseded, was handed everything.
		const stored = known && (known.position ?? this.extent.head);
		return replayStart(this.extent, asked(lastEventId), stored);
	}

	/** Begin to serve a session. @returns what it missed */
	serve(session: string, connectionId: string, lastEventId: string | undefined): LoggedEvent[] {
		const { after, recovered } = this.startOf(session, lastEventId);
		if (!recovered) this.#gaps++;
		// One that is not known, but has an event of this log, was here before and was forgotten since.
		const { since = after > 0 ? after : this.extent.head } = this.#sessions.get(session) ?? {};
		this.#sessions.open(session, connectionId, since, Date.now());
		return [...this.#log.missedBySession(session, after, since)];
	}

	/** The connection is gone. @param position up to which event it served the session (default: all) */
	served(session: string, connectionId: string, position = this.extent.head): void {
		this.#sessions.close(session, connectionId, Math.min(position, this.extent.head), Date.now());
		this.#scheduleAlarm();
	}

	/** Where a subscription starts that opens now: it is not known from before. */
	startOfSubscription(lastEventId: string | undefined): ReplayStart {
		return replayStart(this.extent, asked(lastEventId), this.extent.head);
	}

	/** What a subscription missed that comes back, for it to match. */
	missedBySubscriptions(lastEventId: string): LoggedEvent[] {
		const { after, recovered } = this.startOfSubscription(lastEventId);
		if (!recovered) this.#gaps++;
		return [...this.#log.missedBySubscriptions(after)];
	}

	has(broadcastId: string | undefined): boolean {
		return broadcastId !== undefined && this.#log.has(broadcastId);
	}

	/** @returns the event's place, or `undefined` for one that is too large to be kept */
	append(audience: Audience, data: string, broadcastId: string | undefined): number | undefined {
		const seq = this.#log.append(audience, data, Date.now(), broadcastId);
		this.#scheduleAlarm();
		return seq;
	}

	/** Leave nothing of a session that has ended. */
	forget(session: string): void {
		this.#sessions.delete(session);
		this.#log.forget(session);
	}

	/** Purge what is too old, and come back when the next is. */
	async purge(): Promise<void> {
		const now = Date.now();
		this.#log.purge(now);
		this.#sessions.purge(now - this.#maxAgeMs);
		const next = this.#nextPurge;
		if (next !== undefined) await this.#ctx.storage.setAlarm(next);
	}

	/** One alarm at a time, and none where nothing gets old, so that an idle object stays asleep. */
	#scheduleAlarm(): void {
		this.#ctx.waitUntil(this.#setAlarmUnlessSet());
	}

	async #setAlarmUnlessSet(): Promise<void> {
		const next = this.#nextPurge;
		if (next === undefined || (await this.#ctx.storage.getAlarm()) !== null) return;
		await this.#ctx.storage.setAlarm(next);
	}

	get #nextPurge(): number | undefined {
		const oldest = this.#sessions.oldest;
		const times = [this.#log.nextExpiry, oldest && oldest + this.#maxAgeMs];
		const due = times.filter((time) => time !== undefined);
		return due.length === 0 ? undefined : Math.min(...due);
	}
}

function asked(lastEventId: string | undefined) {
	return lastEventId === undefined ? undefined : (parseEventId(lastEventId) ?? 'unknown');
}
