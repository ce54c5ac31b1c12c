/**
 * Longest session id, in characters. A session id is a WebSocket tag, and a tag holds 256 characters:
 * https://developers.cloudflare.com/durable-objects/api/state/#acceptwebsocket
 */
export const MAX_SESSION_ID_CHARS = 256;

/** Longest origin and longest id of a subscription, in characters. */
export const MAX_ORIGIN_CHARS = 1_024;

/** Largest subscription, in bytes of JSON: 1 MiB, half of what one SQLite row of an object takes. */
export const MAX_SUBSCRIPTION_BYTES = 1024 * 1024;

/**
 * Largest client info of a session, in bytes of JSON: 32 KiB, so that the 1,000 sessions that an object caches
 * take at most 32 MB of its 128 (https://developers.cloudflare.com/durable-objects/platform/limits/).
 */
export const MAX_SESSION_INFO_BYTES = 32 * 1024;

/** Longest URI of a resource that an object takes subscriptions to, in characters. It is stored as a hash. */
export const MAX_URI_CHARS = 65_536;

/** Most changes in one call of `SyncLayer.inform`. */
export const MAX_INFO_CHANGES = 10_000;

/**
 * Longest answer to a server's request, in bytes of JSON: it is a value in SQLite, of at most 2 MB
 * (https://developers.cloudflare.com/durable-objects/platform/limits/).
 */
export const MAX_ANSWER_BYTES = 1_900_000;

/** How many requests of its server may wait in one session for an answer. */
export const MAX_QUESTIONS_PER_SESSION = 100;

/**
 * How many POSTs may wait in one object for answers, each on a socket of its own: a quarter of the sockets that an object
 * has, so that streams of sessions find room, however much is asked.
 */
export const MAX_ASKERS = 8_192;

/** Longest time that a server's request may wait for its answer, in milliseconds: a day. */
export const MAX_ANSWER_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** What an event weighs in the Worker beside its bytes: 9,900 unread ones of a few bytes were measured to take 6 to 13 MB. */
export const EVENT_OVERHEAD_BYTES = 1_024;

/**
 * Largest broadcast, in bytes: 32 MiB, less 4 KiB for the call around it. The platform takes 32 MiB in one RPC call and in
 * one WebSocket message: https://developers.cloudflare.com/durable-objects/platform/limits/
 */
export const MAX_BROADCAST_BYTES = 32 * 1024 * 1024 - 4 * 1024;

/**
 * How many sessions one broadcast may name, and all of one call together: three times as many as an object has sockets for.
 * Several broadcasts may share one array of them, so that a small call would name thousands of millions.
 */
export const MAX_ADDRESSEES = 100_000;

/** How many broadcasts, or notifications, go in one call: as many as the log keeps by default. */
export const MAX_BATCH_ITEMS = 10_000;

/** What RPC adds to each session id when it serialises it, in bytes, at most. */
const ID_OVERHEAD_BYTES = 4;

/** What a broadcast takes of the room of one call, which is {@link MAX_BROADCAST_BYTES} and {@link MAX_ADDRESSEES}. */
export function shareOfBatch(sessions: readonly string[] | undefined, data: string): number {
	const named = sessions?.length ?? 0;
	return Math.max(broadcastBytes(sessions, data), (named * MAX_BROADCAST_BYTES) / MAX_ADDRESSEES);
}

/** What a broadcast takes in the RPC call at least, in bytes. */
export function leastBytes(sessions: readonly string[] | undefined, data: string): number {
	let bytes = data.length;
	for (const id of sessions ?? []) bytes += id.length;
	return bytes;
}

/**
 * The size of a broadcast where it is larger: in the WebSocket message, as UTF-8, or in the RPC call, where V8 writes a
 * string with one byte a character if all are Latin-1, else with two.
 */
export function broadcastBytes(sessions: readonly string[] | undefined, data: string): number {
	let ids = 0;
	for (const id of sessions ?? []) ids += id.length + ID_OVERHEAD_BYTES;
	// No character takes more than three bytes, so a small payload need not be looked at.
	if (ids + data.length * 3 <= MAX_BROADCAST_BYTES) return ids + data.length * 3;
	const serialised = /[\u0100-\uffff]/.test(data) ? data.length * 2 : data.length;
	return Math.max(ids + serialised, byteLength(data));
}

/** The size of a text as UTF-8. */
export function byteLength(text: string): number {
	return new TextEncoder().encode(text).byteLength;
}
