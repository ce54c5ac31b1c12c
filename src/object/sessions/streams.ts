import * as channels from '../../diagnostics/channels.ts';
import { CloseCode } from '../../wire/close-codes.ts';
import { encodeFrame } from '../../wire/frames.ts';
import { byteLength, EVENT_OVERHEAD_BYTES } from '../../wire/limits.ts';
import { STREAM_TAG } from '../../wire/names.ts';
import type { BroadcastResult } from '../../wire/answers.ts';
import type { Alarm } from '../alarm.ts';
import { here } from '../here.ts';
import type { EventLog, LoggedEvent } from '../log/event-log.ts';
import { type ReplayStart, replayStart, type StoredPosition } from '../log/replay.ts';
import type { SentIds } from '../log/sent-ids.ts';
import { type AttachmentOf, readAttachment, writeAttachment } from '../sockets/attachment.ts';
import { acceptSocket, deliver, isOpen, type OpenSocket, openSockets } from '../sockets/sockets.ts';
import * as SessionRows from './session-row.ts';
import type { Sessions } from './sessions.ts';

/** A payload, to whom it goes (`undefined`: to all), and the id by which a retry is known. */
export interface Broadcast {
	sessions: readonly string[] | undefined;
	data: string;
	id: string | undefined;
	/** Whether the sessions were looked up: then they are alive, and to be named is no sign of life. */
	areKnown?: boolean;
}

/** A stream that is to be opened. */
export interface StreamRequest {
	sessionId: string;
	connectionId: string;
	/** The last event that the client has, as it said. */
	lastEventId: string | undefined;
	/** How many bytes of a replay may be sent on one socket. */
	window: number | undefined;
}

/** A session that a broadcast names lives for at least so many times `maxAge`, so that it outlives the event. */
const WAITING_AGES = 1.2;

/** The session streams of one object: hibernating sockets that are found by session id. */
export class Streams {
	#ctx: DurableObjectState;
	#log: EventLog | undefined;
	#sessions: Sessions;
	#sent: SentIds;
	#times: SessionRows.Lifetimes;
	#alarm: Alarm;

	constructor(
		ctx: DurableObjectState,
		log: EventLog | undefined,
		sessions: Sessions,
		sent: SentIds,
		times: SessionRows.Lifetimes,
		alarm: Alarm,
	) {
		this.#ctx = ctx;
		this.#log = log;
		this.#sessions = sessions;
		this.#sent = sent;
		this.#times = times;
		this.#alarm = alarm;
	}

	/** The open streams with a tag: those of a session id, or all. */
	find(tag: string): OpenSocket<'stream'>[] {
		return openSockets(this.#ctx, 'stream', tag);
	}

	/** The connection that serves a session, or did last; without a log, those that have an open socket. */
	servedBy(session: string): string[] {
		if (!this.#log) return this.find(session).map(({ attachment }) => attachment.connectionId);
		const row = this.#sessions.get(session);
		return SessionRows.isServed(row) ? [row.connectionId] : [];
	}

	has(session: string): boolean {
		return this.#ctx.getWebSockets(session).some(isOpen);
	}

	/** Write what a transition made of a session's row, if it made something of it. */
	save(row: SessionRows.SessionRow | undefined): void {
		if (!row) return;
		this.#sessions.put(row);
		this.#alarm.schedule(row.expiresAt);
	}

	/** A sign of life of a session; written a moment later where a stream is about to open. */
	renew(row: SessionRows.SessionRow): void {
		const now = Date.now();
		const renewed = SessionRows.renew(row, this.#times, now);
		if (renewed !== row && SessionRows.mayWait(row, this.#times, now)) {
			this.#sessions.putSoon(renewed);
		} else this.save(renewed);
	}

	/** Where a stream that opens now starts. */
	startOf({ sessionId, connectionId, lastEventId }: StreamRequest): ReplayStart | undefined {
		if (!this.#log) return undefined;
		const row = this.#sessions.get(sessionId);
		const stored = this.#storedPosition(row, connectionId, this.#log.head);
		return replayStart(this.#log.extent, lastEventId, stored);
	}

	/**
	 * Take over the object's end of a session's socket, hand it what the session missed, and end an older stream of the
	 * session. One synchronous step: at no time are there two streams, or none where there was one.
	 * @returns where the stream starts
	 * @throws `OBJECT_FULL`
	 */
	open(socket: WebSocket, request: StreamRequest): ReplayStart | undefined {
		const { sessionId, connectionId } = request;
		const older = this.find(sessionId);
		if (older.length > 0) this.#log?.noteAlive();
		this.#log?.noteStream(Date.now());
		// Before the session has this socket: where it starts depends on whether it has one.
		const start = this.startOf(request);
		acceptSocket(this.#ctx, socket, [sessionId, STREAM_TAG]);
		try {
			writeAttachment(socket, { kind: 'stream', sessionId, connectionId });
			const opened =
				this.#log && start ? this.#replay(socket, request, start, this.#log) : undefined;
			if (!opened) this.#openUnlogged(request);
			for (const stream of older) {
				stream.socket.close(CloseCode.superseded, 'superseded by a newer stream');
				// A connection that came back before its old socket was known to be lost is no newer stream.
				if (stream.attachment.connectionId === connectionId) continue;
				if (!channels.superseded.hasSubscribers) continue;
				const where = here(this.#ctx);
				channels.superseded.publish({ ...where, session: sessionId, stream: 'session' });
			}
			return opened;
		} catch (error) {
			socket.close(1011, 'the stream could not be opened');
			throw error;
		}
	}

	/** Send to the named sessions, or to all. */
	broadcast({ sessions, data, id, areKnown = false }: Broadcast): BroadcastResult {
		if (this.#sent.has(id)) return { delivered: 0, waiting: 0, missed: 0, duplicate: true };
		const result = sessions
			? this.#sendTo(sessions, data, id, areKnown)
			: this.#sendToAll(data, id);
		if (channels.delivered.hasSubscribers) {
			channels.delivered.publish({
				...here(this.#ctx),
				...sizeOf(sessions, data),
				audience: sessions ? 'sessions' : 'all',
				...result,
			});
		}
		if (result.waiting && channels.waiting.hasSubscribers) {
			const { waiting } = result;
			channels.waiting.publish({ ...here(this.#ctx), ...sizeOf(sessions, data), waiting });
		}
		return result;
	}

	/** A socket is gone. @param position the last event that the other end took, if it said so */
	closed(
		socket: WebSocket,
		{ sessionId, connectionId }: AttachmentOf<'stream'>,
		position: number | undefined,
	): void {
		if (this.#sessions.get(sessionId)?.state === 'ended') return;
		// The connection may have come back on another socket before the end of this one was known.
		const isBack = this.find(sessionId).some(
			(open) => open.socket !== socket && open.attachment.connectionId === connectionId,
		);
		if (!isBack) this.connectionGone(sessionId, connectionId, position, true);
	}

	/** A connection no longer serves its session. @param position the last event that its client took (default: all) */
	connectionGone(
		sessionId: string,
		connectionId: string,
		position: number | undefined,
		mayComeBack: boolean,
	): void {
		const row = this.#sessions.get(sessionId);
		if (!this.#log) {
			// The row says nothing of streams, but a session lives on from the end of its stream.
			if (row) this.save(SessionRows.renew(row, this.#times, Date.now()));
			return;
		}
		// Where it was lost with the object, and that is told late, it did not get what was sent since.
		const last = row?.state === 'open' ? this.#log.lostAt(row.position) : this.#log.head;
		const to = { connectionId, position: Math.min(position ?? last, last), mayComeBack };
		this.save(SessionRows.close(row, to, this.#times, Date.now()));
	}

	#openUnlogged({ sessionId }: StreamRequest): void {
		const row = this.#sessions.get(sessionId);
		// Nothing is stored of streams but that one was detached, or a session ended, which is over now.
		if (!row || row.state === 'begun') return;
		if (row.owner === undefined && row.info === undefined) this.#sessions.delete(sessionId);
		else this.save({ ...row, state: 'begun' });
	}

	#replay(
		socket: WebSocket,
		request: StreamRequest,
		start: ReplayStart,
		log: EventLog,
	): ReplayStart {
		const { sessionId, connectionId, lastEventId, window } = request;
		const now = Date.now();
		const row = this.#sessions.get(sessionId);
		const { after, repeat } = scopeOf(row, request, start);
		const isBehind = (repeat?.since ?? after) < log.head;
		const missed = isBehind ? log.missedBySession({ session: sessionId, after, repeat }) : [];
		const tally = channels.replayed.hasSubscribers ? new channels.Tally() : undefined;
		const { handedUpTo, isWhole } = handOver(socket, missed, window ?? Infinity, tally);
		const opened = SessionRows.open(
			row,
			{
				sessionId,
				connectionId,
				after,
				head: log.head,
				hasShownId: lastEventId !== undefined,
				handedUpTo,
				isRepeat: repeat !== undefined,
			},
			this.#times,
			now,
		);
		this.save(opened);
		if (handedUpTo !== undefined) socket.close(CloseCode.windowFull, 'the window is full');
		else if (isBehind) deliver(socket, encodeFrame({ seq: log.head, data: '' }));
		const recovered = start.recovered && isWhole;
		log.noteReplay({ stream: 'session', session: sessionId }, tally, recovered);
		return { after: Math.min(after, repeat?.since ?? after), recovered };
	}

	/** Where a stream starts whose client names no event. */
	#storedPosition(
		row: SessionRows.SessionRow | undefined,
		connectionId: string,
		head: number,
	): StoredPosition {
		// Nothing in the log is for an unknown session: a broadcast that names one begins it.
		if (row === undefined || row.state === 'ended') {
			return { after: head, needs: head, since: row?.since ?? 0 };
		}
		const { since } = row;
		if (row.state === 'begun') return { after: since, needs: since, since };
		// A connection that knows no position was never told that it was open: it was lost with the object.
		if (row.connectionId === connectionId) {
			return { after: row.started, needs: row.started, since };
		}
		const after = this.positionOf(row);
		const needs = Math.min(repeatOf(row)?.since ?? after, after);
		return { after, needs, since };
	}

	/** The last event that a session was handed, or that it began after. */
	positionOf(row: SessionRows.SessionRow): number {
		if (!this.#log || !SessionRows.isServed(row)) return row.since;
		if (row.state !== 'open') return row.position;
		return this.has(row.sessionId) ? this.#log.head : this.#log.lostAt(row.position);
	}

	#sendToAll(data: string, id: string | undefined): BroadcastResult {
		const sockets = this.#ctx.getWebSockets(STREAM_TAG);
		if (sockets.length > 0) this.#log?.noteAlive();
		const appended = this.#log?.append({ kind: 'all' }, data, Date.now(), id);
		this.#sent.add(id);
		const frame = encodeFrame({ seq: appended?.seq, data });
		const delivered = this.#send(sockets, frame, appended?.seq);
		if (appended?.isKept) return { delivered, waiting: undefined, missed: 0 };
		const known = this.#log ? this.#sessions.count() : delivered;
		return { delivered, waiting: 0, missed: Math.max(0, known - delivered) };
	}

	#sendTo(
		sessions: readonly string[],
		data: string,
		id: string | undefined,
		areKnown: boolean,
	): BroadcastResult {
		const sockets = sessions.map((session) => this.#ctx.getWebSockets(session));
		if (sockets.some(({ length }) => length > 0)) this.#log?.noteAlive();
		const away = sessions.filter((_, index) => !sockets[index]?.some(isOpen));
		const over = this.#expect(areKnown ? [] : away);
		if (over.size === sessions.length) {
			return { delivered: 0, waiting: 0, missed: over.size };
		}
		const named = over.size === 0 ? sessions : sessions.filter((session) => !over.has(session));
		const audience = { kind: 'sessions', sessions: named } as const;
		const appended = this.#log?.append(audience, data, Date.now(), id);
		this.#sent.add(id);
		const frame = encodeFrame({ seq: appended?.seq, data });
		let delivered = 0;
		for (const of of sockets) if (this.#send(of, frame, appended?.seq) > 0) delivered++;
		const rest = named.length - delivered;
		return appended?.isKept
			? { delivered, waiting: rest, missed: over.size }
			: { delivered, waiting: 0, missed: over.size + rest };
	}

	/**
	 * Prepare sessions without a stream for a broadcast that names them: an unknown one begins, and none expires before the
	 * event that waits for it.
	 * @returns those that have ended
	 */
	#expect(away: readonly string[]): Set<string> {
		const over = new Set<string>();
		if (away.length === 0) return over;
		const rows = this.#sessions.getAll(away);
		const now = Date.now();
		const [head, until] = [this.#log?.head ?? 0, now + (this.#log?.maxAgeMs ?? 0) * WAITING_AGES];
		const unknown: string[] = [];
		for (const session of away) {
			const row = rows.get(session);
			if (row?.state === 'ended' && row.expiresAt > now) over.add(session);
			else if (!this.#log) continue;
			else if (!row) unknown.push(session);
			else if (row.owner === undefined && row.expiresAt <= until) {
				const of = { sessionId: session, owner: undefined, head };
				const live = SessionRows.begin(this.#sessions.get(session), of, this.#times, now);
				this.save({ ...live, expiresAt: until });
			}
		}
		if (unknown.length > 0) {
			this.#sessions.beginAll(unknown, head, until);
			this.#alarm.schedule(until);
		}
		return over;
	}

	/** @returns how many took the frame */
	#send(sockets: readonly WebSocket[], frame: string, seq: number | undefined): number {
		let delivered = 0;
		for (const socket of sockets) {
			if (isOpen(socket) && deliver(socket, frame)) delivered++;
			else this.#notDelivered(socket, seq);
		}
		return delivered;
	}

	/** A socket that is closing, or has died, gets nothing more: this and what comes after it waits. */
	#notDelivered(socket: WebSocket, seq: number | undefined): void {
		if (seq === undefined) return;
		const attachment = readAttachment(socket);
		if (attachment?.kind === 'stream') this.closed(socket, attachment, seq - 1);
	}
}

/** Of a message, for its event. Where it names one session, it is known whose it is. */
function sizeOf(sessions: readonly string[] | undefined, data: string) {
	const session = sessions?.length === 1 ? sessions[0] : undefined;
	return { session, bytes: byteLength(data) };
}

/** What a session's first stream was handed, where its client may not have read it. */
function repeatOf(row: SessionRows.SessionRow | undefined) {
	if (!SessionRows.isServed(row) || row.repeatUntil === undefined) return undefined;
	return { since: row.since, until: row.repeatUntil };
}

/**
 * What a stream is handed: all after an event, and what may have been unread before it. A connection that names an event
 * before its own beginning is in the middle of that, because it came in portions.
 */
function scopeOf(
	row: SessionRows.SessionRow | undefined,
	{ connectionId, lastEventId }: StreamRequest,
	{ after }: ReplayStart,
) {
	const repeat = repeatOf(row);
	if (lastEventId === undefined) return { after, repeat };
	const isBack = SessionRows.isServed(row) && row.connectionId === connectionId;
	return repeat && isBack && after < row.started
		? { after: row.started, repeat: { since: after, until: repeat.until } }
		: { after, repeat: undefined };
}

/**
 * Hand over events one by one, so that they are never all in memory, until the window is full: but at least one.
 * @returns the last event, where there are more; and whether none was too large to be kept
 */
function handOver(
	socket: WebSocket,
	missed: Iterable<LoggedEvent>,
	window: number,
	tally: channels.Tally | undefined,
): { handedUpTo: number | undefined; isWhole: boolean } {
	let left = window;
	let last: number | undefined;
	let isWhole = true;
	for (const { seq, data } of missed) {
		if (left <= 0 && last !== undefined) return { handedUpTo: last, isWhole };
		if (data === null) isWhole = false;
		else {
			deliver(socket, encodeFrame({ seq, data }));
			tally?.add(data);
			// In characters: in UTF-8 a character takes three bytes at most, and those of MCP messages mostly one.
			left -= data.length + EVENT_OVERHEAD_BYTES;
		}
		last = seq;
	}
	return { handedUpTo: undefined, isWhole };
}
