/**
 * What an object knows of a session beside its socket, and how that changes. Every function here is pure: it takes a row
 * and gives the next one, or the same one where nothing changes, so that nothing is written.
 */

/** Event positions in the log, and times in milliseconds since 1970. */
interface Known {
	sessionId: string;
	/** SHA-256 of the owner that a gateway named; `undefined` for a session that no gateway began. */
	owner: string | undefined;
	/** The newest event when the session began: it never hears that one, nor an older one. */
	since: number;
	/** A session without an open stream is forgotten then. */
	expiresAt: number;
	/** What is known of its client, as JSON; `undefined` where nothing was ever told. */
	info: string | undefined;
	/** The resources that it is subscribed to, each as a hash, one a line; `undefined` for none. */
	resources: string | undefined;
}

/** A session that has, or had, a stream. */
interface Served {
	/** The connection that opened the stream last. */
	connectionId: string;
	/** The stream got what comes after this event, on the first of its sockets. */
	started: number;
	/** `open`: the newest event when the stream opened. Else: the last event that was handed over. */
	position: number;
	/**
	 * Events up to this time are handed over once more to a stream without an event id, because the ones before it may have
	 * died before their client had read any: to each that opens until then, and to one after it. `undefined` once that was
	 * done, or the client has shown an id.
	 */
	repeatUntil: number | undefined;
}

export type SessionRow = Known &
	(
		| /** Issued by a gateway, or named by a broadcast; it has had no stream yet. */ {
				state: 'begun';
		  }
		| ({
				state: /** It has a stream. */
					| 'open'
					/** The stream is gone, and its connection may come back. */
					| 'away'
					/** The stream was ended: only a new connection may open one. */
					| 'detached';
		  } & Served)
		/** Kept for a while, so that late calls and reconnects cannot revive it. */
		| { state: 'ended' }
	);

/** The columns that tell whether a session is alive. Where many rows are read, these are enough; client info is large. */
export type Glance = Pick<SessionRow, 'sessionId' | 'state' | 'owner' | 'expiresAt'>;

export type ServedRow = Extract<SessionRow, Served>;

/** How long a session lives, in milliseconds. */
export interface Lifetimes {
	/** Since its last sign of life, where a gateway began it. */
	sessionTtlMs: number;
	/** The same where it has given none since it was begun. */
	unusedTtlMs: number;
	/** The same for any other session: never less than `sessionTtlMs`, nor than the age of an event. */
	unownedTtlMs: number;
	/** As an ended one: until nothing that was sent to it is left, and no call that knew it is under way. */
	endedTtlMs: number;
}

/** Signs of life are written once in a tenth of the time to live. */
const RENEWALS_PER_TTL = 10;

/** A row that is written later than it changed has at least this much time left as it is stored, in milliseconds. */
const MIN_LEFT_MS = 60_000;

/** For how long a first stream may go unread without a loss, in milliseconds. */
const REPEAT_WINDOW_MS = 60_000;

function ttlOf(owner: string | undefined, { sessionTtlMs, unownedTtlMs }: Lifetimes): number {
	return owner === undefined ? unownedTtlMs : sessionTtlMs;
}

/** Late enough that a sign of life that was not written still has its whole time. */
function deadline(owner: string | undefined, times: Lifetimes, now: number): number {
	return now + ttlOf(owner, times) * (1 + 1 / RENEWALS_PER_TTL);
}

/** A sign of life. */
export function renew<Row extends SessionRow>(row: Row, times: Lifetimes, now: number): Row {
	if (row.state === 'ended' || row.expiresAt > now + ttlOf(row.owner, times)) return row;
	return { ...row, expiresAt: deadline(row.owner, times, now) };
}

/**
 * Whether the renewal of a row may wait for what its client does next: its session was not admitted before, so a stream is
 * about to open, and it does not expire soon.
 */
export function mayWait(
	{ state, owner, expiresAt }: SessionRow,
	times: Lifetimes,
	now: number,
): boolean {
	const left = expiresAt - now;
	return (
		state === 'begun' && owner !== undefined && left > MIN_LEFT_MS && left <= times.unusedTtlMs
	);
}

export function isServed(row: SessionRow | undefined): row is ServedRow {
	return row !== undefined && row.state !== 'begun' && row.state !== 'ended';
}

/**
 * A gateway issues the session, or someone names it for the first time. An ended or expired row is that of an earlier
 * session of the same id: nothing of it counts. That it was issued is no sign of life.
 */
export function begin(
	row: SessionRow | undefined,
	of: { sessionId: string; owner: string | undefined; head: number },
	times: Lifetimes,
	now: number,
): SessionRow {
	if (row === undefined || row.state === 'ended' || row.expiresAt <= now) {
		const { sessionId, owner, head } = of;
		return {
			state: 'begun',
			sessionId,
			owner,
			since: head,
			expiresAt: owner === undefined ? deadline(owner, times, now) : now + times.unusedTtlMs,
			info: undefined,
			resources: undefined,
		};
	}
	const owner = row.owner ?? of.owner;
	if (owner === row.owner) return row;
	return { ...row, owner, expiresAt: Math.max(row.expiresAt, now + times.unusedTtlMs) };
}

/** A stream of the session opens. @param after it gets what comes after this event */
export function open(
	row: SessionRow | undefined,
	of: {
		sessionId: string;
		connectionId: string;
		after: number;
		head: number;
		hasShownId: boolean;
		/** The event with which the first portion of a replay ended; `undefined` where all was handed over. */
		handedUpTo: number | undefined;
		/** Whether what may have been unread was handed over once more. */
		isRepeat: boolean;
	},
	times: Lifetimes,
	now: number,
): ServedRow {
	const { sessionId, connectionId, after, head, handedUpTo } = of;
	const before = row?.state === 'ended' ? undefined : row;
	const served = isServed(before) ? before : undefined;
	const isBack = served?.connectionId === connectionId;
	const repeatUntil = served ? served.repeatUntil : now + REPEAT_WINDOW_MS;
	const isRepeated = of.isRepeat && handedUpTo === undefined && (repeatUntil ?? 0) < now;
	const isRepeatDone = isRepeated || (!isBack && of.hasShownId);
	return {
		sessionId,
		owner: before?.owner,
		info: before?.info,
		resources: before?.resources,
		since: before?.since ?? after,
		expiresAt: before ? renew(before, times, now).expiresAt : deadline(undefined, times, now),
		state: handedUpTo === undefined ? 'open' : 'away',
		connectionId,
		started: isBack ? Math.min(served.started, after) : after,
		// A repeat comes in portions, of older events too: the position never goes back for one.
		position: handedUpTo === undefined ? head : Math.max(handedUpTo, after),
		repeatUntil: isRepeatDone ? undefined : repeatUntil,
	};
}

/**
 * A connection is gone, having served the session up to an event, or less far than was said before. A connection that
 * another one has replaced changes nothing.
 */
export function close(
	row: SessionRow | undefined,
	of: { connectionId: string; position: number; mayComeBack: boolean },
	times: Lifetimes,
	now: number,
): SessionRow | undefined {
	if (!isServed(row) || row.connectionId !== of.connectionId) return row;
	const reached = Math.max(of.position, row.started);
	const position = row.state === 'open' ? reached : Math.min(row.position, reached);
	const state = row.state === 'detached' || !of.mayComeBack ? 'detached' : 'away';
	if (state === row.state && position === row.position) return row;
	return renew({ ...row, state, position }, times, now);
}

/** The stream ends, whichever connection serves it, and that connection is not to come back. */
export function detach(row: SessionRow, position: number): SessionRow {
	return isServed(row) && row.state !== 'detached' ? { ...row, state: 'detached', position } : row;
}

/** The same without a log, where the row says nothing else of streams. */
export function detachUnlogged(
	row: SessionRow | undefined,
	sessionId: string,
	{ endedTtlMs }: Lifetimes,
	now: number,
): SessionRow {
	if (row?.state === 'ended') return row;
	const expiresAt = Math.max(row?.expiresAt ?? 0, now + endedTtlMs);
	return {
		state: 'detached',
		sessionId,
		owner: row?.owner,
		info: row?.info,
		resources: row?.resources,
		since: 0,
		expiresAt,
		connectionId: '',
		started: 0,
		position: 0,
		repeatUntil: undefined,
	};
}

/**
 * The session has ended. One that a gateway began and that never had a stream is not kept for long: no event waits for
 * it, and whoever begins and ends sessions again and again must not fill the object.
 */
export function end(
	row: SessionRow | undefined,
	{ sessionId, head }: { sessionId: string; head: number },
	{ endedTtlMs, unusedTtlMs }: Lifetimes,
	now: number,
): SessionRow {
	const isShort = row?.state === 'begun' && row.owner !== undefined;
	return {
		state: 'ended',
		sessionId,
		owner: undefined,
		info: undefined,
		resources: undefined,
		since: head,
		expiresAt: now + (isShort ? Math.min(endedTtlMs, unusedTtlMs) : endedTtlMs),
	};
}
