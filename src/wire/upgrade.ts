import type { AttachOptions } from './arguments.ts';

/** The one request on `fetch`: it brings a ticket, or a claim and the object's key, and is answered with a WebSocket. */

/** How long a ticket can be redeemed, in milliseconds. */
export const TICKET_TTL_MS = 5_000;

/** How long an upgrade that arrives before its ticket was made waits for it, in milliseconds. */
export const TICKET_WAIT_MS = 2_000;

/** Where an upgrade goes. The host is never looked up, because a stub routes the request. */
export const UPGRADE_URL = 'https://sync-layer/';

/** The header that carries the ticket. It is not in the URL, because URLs are logged and a ticket is a secret. */
export const TICKET_HEADER = 'x-tmcp-ticket';

/**
 * The header that carries the object's key, a space, and which stream is to be opened: `{ sessionId, ...AttachOptions }` as
 * JSON, encoded as a URI component, because an event id may have any characters. All of it is secret, and the runtime keeps
 * the values of headers with `key` in their names out of logs and tails.
 */
export const KEY_HEADER = 'x-tmcp-key';

/** The value of {@link KEY_HEADER}. */
export function formatKeyed(key: string, claim: { sessionId: string } & AttachOptions): string {
	return `${key} ${encodeURIComponent(JSON.stringify(claim))}`;
}

/** The header of the answer to an upgrade that says where the stream starts: a `LogPosition` as JSON. */
export const LOG_HEADER = 'x-tmcp-log';
