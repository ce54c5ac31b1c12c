/**
 * What the Worker's side and the object's side agree on. Both import this file;
 * neither imports the other.
 */

/**
 * The name of the object that holds the streams, the same as in version 0.3. Another Worker reaches it with
 * `env.TMCP_DURABLE_OBJECT.getByName(SYNC_LAYER_NAME)`.
 */
export const SYNC_LAYER_NAME = 'TMCP_DURABLE_OBJECT';

/**
 * Longest session id, in characters. A session id is a WebSocket tag, and a tag holds 256 characters:
 * https://developers.cloudflare.com/durable-objects/api/state/#acceptwebsocket
 */
export const MAX_SESSION_ID_CHARS = 256;

/** Longest origin and longest id of a subscription, in characters. */
export const MAX_ORIGIN_CHARS = 1_024;

/** Largest subscription, in bytes of JSON: 1 MiB, half of what one SQLite row of an object takes. */
export const MAX_SUBSCRIPTION_BYTES = 1024 * 1024;

/** How long a ticket can be redeemed, in milliseconds. */
export const TICKET_TTL_MS = 5_000;

/** How long an upgrade that arrives before its ticket waits for it, in milliseconds. */
export const TICKET_WAIT_MS = 2_000;

/** The header that carries the ticket: a header, because URLs end up in logs and a ticket is a secret. */
export const TICKET_HEADER = 'x-tmcp-ticket';

/** The header of the answer to an upgrade that says where the stream starts, as JSON of a `LogPosition`. */
export const LOG_HEADER = 'x-tmcp-log';

/** Tags have a space in them, which a session id cannot have, so no id is ever mistaken for one. */
export const STREAM_TAG = 'kind stream';

/** Why a socket between Worker and object was closed: application codes, 4000–4999. */
export const CloseCode = {
	/** A newer stream of the same session took its place. */
	superseded: 4001,
	/** The session, or this stream of it, was ended with `detach`. */
	detached: 4002,
	/** The socket's attachment is not one that SyncLayer wrote. */
	foreignAttachment: 4003,
	/** The Worker's end spoke; the wire is one-way. */
	unexpectedMessage: 4004,
	/**
	 * The client that the Worker's end served is gone, or does not read. The reason is the place of the last event that it
	 * took, where it is known.
	 */
	clientGone: 4005,
	/** The subscription was closed: it is complete. */
	subscriptionClosed: 4006,
	/** The subscription was cancelled. */
	subscriptionCancelled: 4007,
	/** As much of a replay was sent as the stream's `window` takes. The Worker comes back for the rest once the client has read. */
	windowFull: 4008,
} as const;

/**
 * What travels on a socket: the event's place in the log, if it has one, and the payload. Where the payload is empty, it is
 * the place alone: all up to it that was for this socket has been handed over.
 */
export interface Frame {
	seq: number | undefined;
	data: string;
}

/** The place, a line feed, the payload. */
export function encodeFrame({ seq, data }: Frame): string {
	return `${seq ?? ''}\n${data}`;
}

/** @returns `undefined` for what is no frame */
export function decodeFrame(text: unknown): Frame | undefined {
	if (typeof text !== 'string') return undefined;
	const end = text.indexOf('\n');
	const place = text.slice(0, Math.max(end, 0));
	if (end === -1 || !/^\d{0,15}$/.test(place)) return undefined;
	return { seq: place === '' ? undefined : Number(place), data: text.slice(end + 1) };
}

/** What an event weighs in the Worker beside its bytes: 9,900 unread ones of a few bytes were measured to take 6 to 13 MB. */
export const EVENT_OVERHEAD_BYTES = 1_024;

/** Where an upgrade goes to. It names nothing, because URLs end up in logs; the host is never looked up: a stub routes it. */
export const UPGRADE_URL = 'https://sync-layer/';

/**
 * Largest broadcast, in bytes: 32 MiB, less what the call around it needs. The platform takes 32 MiB
 * in one RPC call and in one WebSocket message:
 * https://developers.cloudflare.com/durable-objects/platform/limits/
 */
export const MAX_BROADCAST_BYTES = 32 * 1024 * 1024 - 4 * 1024;

/** A session id and its length prefix, as RPC serialises it: at most this many bytes beside its characters. */
const ID_OVERHEAD_BYTES = 4;

/**
 * What a broadcast weighs on the heavier of its two ways: as UTF-8 in the WebSocket message, or in the
 * RPC call, where V8 writes a string with one byte a character if all are Latin-1, else with two.
 */
export function broadcastBytes(sessions: readonly string[] | undefined, data: string): number {
	let ids = 0;
	for (const id of sessions ?? []) ids += id.length + ID_OVERHEAD_BYTES;
	// Three bytes a character is the most that either way takes: no need to look at a small payload.
	if (ids + data.length * 3 <= MAX_BROADCAST_BYTES) return ids + data.length * 3;
	const serialised = /[\u0100-\uffff]/.test(data) ? data.length * 2 : data.length;
	return Math.max(ids + serialised, new TextEncoder().encode(data).byteLength);
}
