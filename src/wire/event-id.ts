import * as v from 'valibot';

/** Where an event stands: in which object, in which life of its log, and at which place. */
export interface EventId {
	/** Which of the objects that share the sessions, from 0. */
	shard: number;
	/** Changes when a log is lost, so that a place in an old one is never taken for a place in a new one. */
	epoch: string;
	/** The place in the log, from 1. */
	seq: number;
}

const PATTERN = /^(0|[1-9]\d{0,4})\.([0-9a-z]{8})\.(0|[1-9]\d{0,14})$/;

const EventIdSchema = v.pipe(
	v.string(),
	v.regex(PATTERN),
	v.transform((text): EventId => {
		const [shard, epoch = '', seq] = text.split('.');
		return { shard: Number(shard), epoch, seq: Number(seq) };
	}),
);

/** `<shard>.<epoch>.<seq>`, as it stands on the `id` line of an event. */
export function formatEventId({ shard, epoch, seq }: EventId): string {
	return `${shard}.${epoch}.${seq}`;
}

/** The event id that a client sent as `Last-Event-ID`, or `undefined` for what is none of ours. */
export function parseEventId(text: string): EventId | undefined {
	const result = v.safeParse(EventIdSchema, text);
	return result.success ? result.output : undefined;
}

/** A new epoch: eight characters of 0–9 and a–z. */
export function newEpoch(): string {
	const bytes = crypto.getRandomValues(new Uint8Array(8));
	return Array.from(bytes, (byte) => (byte % 36).toString(36)).join('');
}
