import { parseEventId } from '../../wire/event-id.ts';

/** From where on a stream gets what it missed. */
export interface ReplayStart {
	/** It gets what comes after this event. */
	after: number;
	/** Whether that is all that it missed: `false` where its position is not known, or has been cut from the log. */
	recovered: boolean;
}

/** What an object knows of its log. */
export interface LogExtent {
	shard: number;
	epoch: string;
	/** The newest event that there ever was; 0 for none. */
	head: number;
	/** The newest event that was cut; 0 for none. */
	floor: number;
}

/** What is stored of a stream that comes back. */
export interface StoredPosition {
	/** It gets what comes after this event. */
	after: number;
	/** It has missed something where an event after this one was cut: `after`, or less where more is handed over again. */
	needs: number;
	/** It never gets this event, nor an older one, whatever it asks for. */
	since: number;
}

/**
 * Decide where a replay starts.
 * @param lastEventId the last event that the client has, as it sent it
 */
export function replayStart(
	log: LogExtent,
	lastEventId: string | undefined,
	stored: StoredPosition,
): ReplayStart {
	const isAsked = lastEventId !== undefined;
	const id = isAsked ? parseEventId(lastEventId) : undefined;
	if (id && id.shard === log.shard && id.epoch === log.epoch && id.seq <= log.head) {
		const after = Math.max(id.seq, stored.since);
		return { after, recovered: after >= log.floor };
	}
	return { after: stored.after, recovered: !isAsked && stored.needs >= log.floor };
}
