/** One event as it stood on the stream of a session. */
export interface Received {
	id: string | undefined;
	message: number;
	/** Its client kept neither this nor its id, so that it gets it once more. */
	isForgotten?: boolean;
}

/** What became of a message, in steps of one clock. */
export interface Sent {
	to: readonly number[] | undefined;
	/** When it was first tried. */
	triedAt: number;
	/** When it was confirmed; `undefined` where it never was, so that it may be there or not. */
	confirmedAt: number | undefined;
}

/** One session, in steps of the same clock. */
export interface Attendance {
	/** When its first stream was asked for. */
	askedAt: number;
	/** When the object had it. */
	openAt: number;
	/** From when on it waited for nothing that was not confirmed before (default: never). */
	leftAt?: number;
	received: Iterable<Received>;
}

export interface Verdict {
	/** Addressed to the session and confirmed, but not received. */
	lost: number;
	/** Received more than once, or logged more than once. */
	duplicated: number;
	/** Received once more by a client that had forgotten it. */
	repeated: number;
	/** Received after one with a later place, or with an event id that is not its place. */
	outOfOrder: number;
	/** Received, but not addressed to the session; or sent to all before it came. */
	uninvited: number;
	/** What was wrong, for whoever replays the seed. */
	details: Detail[];
}

/** One thing that was wrong, in which session; `undefined` where it is wrong in the log. */
interface Detail {
	text: string;
	session: number | undefined;
}

/** Whether the session must have received a message. */
function isOwed(
	{ to, triedAt, confirmedAt }: Sent,
	session: number,
	{ openAt, leftAt = Infinity }: Attendance,
): boolean {
	if (confirmedAt === undefined || confirmedAt > leftAt) return false;
	return to === undefined ? triedAt > openAt : to.includes(session);
}

/**
 * Compare what sessions received with what was sent to them.
 * @param log the messages in the order of their places, from place 1; a hole where none is known
 */
export function judge(
	sent: readonly Sent[],
	log: readonly (number | undefined)[],
	sessions: readonly Attendance[],
): Verdict {
	const verdict: Verdict = {
		lost: 0,
		duplicated: 0,
		repeated: 0,
		outOfOrder: 0,
		uninvited: 0,
		details: [],
	};
	type Wrong = 'lost' | 'duplicated' | 'outOfOrder' | 'uninvited';
	const blame = (what: Wrong, detail: string, session?: number) => {
		verdict[what]++;
		verdict.details.push({ text: `${what}: ${detail}`, session });
	};
	const places = new Map<number, number>();
	for (const [index, message] of log.entries()) {
		if (message === undefined) continue;
		if (places.has(message)) blame('duplicated', `message ${message} in the log`);
		places.set(message, index + 1);
	}
	// A session begins with its first stream, or when it is named for the first time.
	const namedAt = new Map<number, number>();
	for (const { to, triedAt } of sent) {
		for (const session of to ?? [])
			namedAt.set(session, Math.min(triedAt, namedAt.get(session) ?? Infinity));
	}
	for (const [session, attendance] of sessions.entries()) {
		const { received, askedAt } = attendance;
		const begunAt = Math.min(askedAt, namedAt.get(session) ?? Infinity);
		const had = new Set<number>();
		const forgotten = new Set<number>();
		let newest = 0;
		for (const { id, message, isForgotten = false } of received) {
			const place = places.get(message) ?? 0;
			const where = () => `message ${message} of place ${place} as ${id} in session ${session}`;
			// Whoever has forgotten what came gets it from the beginning.
			if (forgotten.size > 0 && !isForgotten) newest = 0;
			if (forgotten.delete(message)) verdict.repeated++;
			else if (had.has(message)) blame('duplicated', where(), session);
			else if (place < newest) blame('outOfOrder', `${where()}, after ${newest}`, session);
			if (Number(id?.split('.')[2]) !== place)
				blame('outOfOrder', `${where()}, misnumbered`, session);
			had.add(message);
			if (isForgotten) forgotten.add(message);
			newest = Math.max(newest, place);
		}
		for (const [message, of] of sent.entries()) {
			const { to, confirmedAt } = of;
			const isForIt = to === undefined || to.includes(session);
			const isTooEarly = to === undefined && confirmedAt !== undefined && confirmedAt < begunAt;
			const isThere = had.has(message);
			if (isThere ? isForIt && !isTooEarly : !isOwed(of, session, attendance)) continue;
			const place = places.get(message);
			const where = `message ${message} of place ${place} in session ${session}`;
			blame(isThere ? 'uninvited' : 'lost', where, session);
		}
	}
	return verdict;
}
