import type { EventId } from '../../wire/event-id.ts';

/** From where on a stream gets what it missed. */
export interface ReplayStart {
	/** It gets what comes after this place. */
	after: number;
	/** Whether that is all it missed: `false` where the place is not known, or the log no longer reaches back to it. */
	recovered: boolean;
}

/** What an object knows of its log. */
export interface LogExtent {
	shard: number;
	epoch: string;
	/** The newest place that was ever given out; 0 for none. */
	head: number;
	/** The newest place that was cut off; 0 for none. */
	floor: number;
}

/** What is stored of the one who comes back. */
export interface StoredPlace {
	/** It gets what comes after this place. */
	after: number;
	/** It has missed something where an event after this place was cut. */
	needs: number;
}

/**
 * Decide where a replay starts.
 *
 * @param asked what the one who comes back says that it has, if anything: `unknown` for an event id that is none of ours
 */
export function replayStart(
	log: LogExtent,
	asked: EventId | 'unknown' | undefined,
	stored: StoredPlace,
): ReplayStart {
	const place = asked === undefined || asked === 'unknown' ? undefined : placeIn(log, asked);
	if (place !== undefined) return { after: place, recovered: place >= log.floor };
	return { after: stored.after, recovered: asked === undefined && stored.needs >= log.floor };
}

function placeIn({ shard, epoch, head }: LogExtent, id: EventId): number | undefined {
	return id.shard === shard && id.epoch === epoch && id.seq <= head ? id.seq : undefined;
}
