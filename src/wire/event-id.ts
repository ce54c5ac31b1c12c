/** Where an event stands: in which object, in which life of its log, and at which position. */
export interface EventId {
	/** Which of the objects that share the sessions, from 0. */
	shard: number;
	/** Changes when a log is lost, so that a position in the old log is never taken for one in the new log. */
	epoch: string;
	/** The position in the log, from 1. */
	seq: number;
}

/** `<shard>.<epoch>.<seq>`, as it stands on the `id` line of an event. */
const PATTERN = /^(0|[1-9]\d{0,4})\.([0-9a-z]{8})\.(0|[1-9]\d{0,14})$/;

/** The longest event id, in characters: what the pattern has at most. */
const MAX_EVENT_ID_CHARS = 30;

/** What a client gave as an event id. One that is longer than ours stands for an unknown one, and is neither sent on nor kept. */
export function boundEventId(id: string): string {
	return id.length <= MAX_EVENT_ID_CHARS ? id : '';
}

/** The event id that a client sent as `Last-Event-ID`, or `undefined` for any text that is not an event id of ours. */
export function parseEventId(text: string): EventId | undefined {
	const [, shard, epoch, seq] = PATTERN.exec(text) ?? [];
	return epoch === undefined ? undefined : { shard: Number(shard), epoch, seq: Number(seq) };
}

/** A new epoch: eight characters of 0–9 and a–z. */
export function newEpoch(): string {
	const bytes = crypto.getRandomValues(new Uint8Array(8));
	return Array.from(bytes, (byte) => (byte % 36).toString(36)).join('');
}
