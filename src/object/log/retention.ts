/** How much of what was sent an object keeps, for those who come back for it. */
export interface RetentionBounds {
	/** Events. */
	maxCount: number;
	/** UTF-8 bytes of all payloads and addressees. */
	maxBytes: number;
	/** Milliseconds since an event was sent. */
	maxAgeMs: number;
}

/** What of an event decides whether it is kept. */
export interface Kept {
	seq: number;
	bytes: number;
	/** When it was sent, in milliseconds since 1970. */
	at: number;
}

/**
 * Up to which event a log is to be cut, so that it is within its bounds: by count, bytes and age, oldest first, and never
 * the newest.
 *
 * @param total how many events there are, and their bytes
 * @param oldestFirst the events, oldest first; read only as far as needed
 * @returns the `seq` of the last event to go, and the bytes that go; `undefined` where all can stay
 */
export function cut(
	bounds: RetentionBounds,
	total: { count: number; bytes: number },
	oldestFirst: Iterable<Kept>,
	now: number,
): { upTo: number; bytes: number } | undefined {
	let { count, bytes } = total;
	let upTo: number | undefined;
	for (const event of oldestFirst) {
		const isTooMuch = count > bounds.maxCount || bytes > bounds.maxBytes;
		const isTooOld = now - event.at >= bounds.maxAgeMs;
		if (count <= 1 || !(isTooMuch || isTooOld)) break;
		upTo = event.seq;
		count--;
		bytes -= event.bytes;
	}
	return upTo === undefined ? undefined : { upTo, bytes: total.bytes - bytes };
}
