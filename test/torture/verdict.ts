import type { Received } from './client.ts';

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
	received: readonly Received[];
}

export interface Verdict {
	/** Addressed to the session and confirmed, but not received. */
	lost: number;
	/** Received more than once, or logged more than once. */
	duplicated: number;
	/** Received after one with a later place, or with an event id that is not its place. */
	outOfOrder: number;
	/** Received, but not addressed to the session; or sent to all before it came. */
	uninvited: number;
	/** What was wrong, for whoever replays the seed. */
	details: string[];
}

/**
 * Compare what sessions received with what was sent to them.
 * @param log the messages in the order of their places, from place 1
 */
export function judge(
	sent: readonly Sent[],
	log: readonly number[],
	sessions: readonly Attendance[],
): Verdict {
	const verdict: Verdict = { lost: 0, duplicated: 0, outOfOrder: 0, uninvited: 0, details: [] };
	const blame = (what: 'lost' | 'duplicated' | 'outOfOrder' | 'uninvited', detail: string) => {
		verdict[what]++;
		verdict.details.push(`${what}: ${detail}`);
	};
	const places = new Map<number, number>();
	for (const [index, message] of log.entries()) {
		if (places.has(message)) blame('duplicated', `message ${message} in the log`);
		places.set(message, index + 1);
	}
	for (const [session, { received, askedAt, openAt }] of sessions.entries()) {
		// A session begins with its first stream, or when it is named for the first time.
		const named = sent.filter(({ to }) => to?.includes(session)).map(({ triedAt }) => triedAt);
		const begunAt = Math.min(askedAt, ...named);
		const times = new Map<number, number>();
		let newest = 0;
		for (const { id, message } of received) {
			const place = places.get(message) ?? 0;
			const where = `message ${message} of place ${place} as ${id} in session ${session}`;
			times.set(message, (times.get(message) ?? 0) + 1);
			if ((times.get(message) ?? 0) > 1) blame('duplicated', where);
			else if (place < newest) blame('outOfOrder', `${where}, after ${newest}`);
			if (Number(id?.split('.')[2]) !== place) blame('outOfOrder', `${where}, misnumbered`);
			newest = Math.max(newest, place);
		}
		for (const [message, { to, triedAt, confirmedAt }] of sent.entries()) {
			const where = `message ${message} of place ${places.get(message)} in session ${session}`;
			const isForIt = to === undefined || to.includes(session);
			const isTooEarly = to === undefined && confirmedAt !== undefined && confirmedAt < begunAt;
			const isUncertain = confirmedAt === undefined || (to === undefined && triedAt <= openAt);
			const isThere = times.has(message);
			if (isThere && (!isForIt || isTooEarly)) blame('uninvited', where);
			if (!isThere && isForIt && !isUncertain) blame('lost', where);
		}
	}
	return verdict;
}
