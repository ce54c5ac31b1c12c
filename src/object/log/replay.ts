import { type EventId, parseEventId } from '../../wire/event-id.ts';

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

/** What a client names as the last event that it has. */
export type Asked = EventId | 'unknown' | undefined;

/** @param lastEventId as the client sent it; `unknown` stands for one that is none of ours */
export function askedFor(lastEventId: string | undefined): Asked {
	return lastEventId === undefined ? undefined : (parseEventId(lastEventId) ?? 'unknown');
}

/**
 * Decide where a replay starts.
 */
export function replayStart(log: LogExtent, asked: Asked, stored: StoredPosition): ReplayStart {
	const named = asked === undefined || asked === 'unknown' ? undefined : positionIn(log, asked);
	if (named !== undefined) {
		const after = Math.max(named, stored.since);
		return { after, recovered: after >= log.floor };
	}
	return { after: stored.after, recovered: asked === undefined && stored.needs >= log.floor };
}

function positionIn({ shard, epoch, head }: LogExtent, id: EventId): number | undefined {
	return id.shard === shard && id.epoch === epoch && id.seq <= head ? id.seq : undefined;
}
