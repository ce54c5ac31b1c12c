import * as v from 'valibot';
import { quote, type SessionManagerErrorCode } from '../../errors.ts';
import {
	HOLDER_PARAMS,
	type Holder,
	MAX_SESSION_ID_CHARS,
	TICKET_HEADER,
} from '../../wire/protocol.ts';
import { isOrigin, isSessionId } from '../../wire/arguments.ts';
import type { RefusalReason } from './ticket-office.ts';

export type Upgrade =
	| { kind: 'upgrade'; holder: Holder; ticket: string }
	| { kind: 'refused'; response: Response };

const TicketSchema = v.pipe(v.string(), v.uuid());

/** What a request on `fetch` asks for: a socket for one holder with one ticket, or nothing we give. */
export function readUpgrade(request: Request): Upgrade {
	if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') {
		return refused(
			426,
			'INVALID_UPGRADE',
			'this object answers WebSocket upgrades only; everything else is a method of its stub (attach, detach, has, broadcast, subscribe, publish, unsubscribe, stats).',
			{ upgrade: 'websocket' },
		);
	}
	const holder = readHolder(new URL(request.url).searchParams);
	if (!holder) {
		return refused(
			400,
			'INVALID_SESSION_ID',
			`the query names no holder: give ${HOLDER_PARAMS.session} (1 to ${MAX_SESSION_ID_CHARS} visible ASCII characters, URL-encoded) or, for a subscription, ${HOLDER_PARAMS.origin}. It was ${quote(new URL(request.url).search)}.`,
		);
	}
	const ticket = request.headers.get(TICKET_HEADER);
	if (!v.is(TicketSchema, ticket)) {
		return refused(
			401,
			'TICKET_REFUSED',
			`the header ${TICKET_HEADER} is ${ticket === null ? 'missing' : 'not a ticket'}. Call attach(sessionId), or subscribe(subscription), and open the socket with the ticket that it answers.`,
		);
	}
	return { kind: 'upgrade', holder, ticket };
}

function readHolder(query: URLSearchParams): Holder | undefined {
	const session = query.get(HOLDER_PARAMS.session);
	if (session !== null) return isSessionId(session) ? { kind: 'session', id: session } : undefined;
	const origin = query.get(HOLDER_PARAMS.origin);
	return isOrigin(origin) ? { kind: 'origin', id: origin } : undefined;
}

const REFUSALS = {
	unknown: [403, 'TICKET_REFUSED', 'nobody made this ticket in time'],
	expired: [403, 'TICKET_REFUSED', 'the ticket has expired'],
	redeemed: [403, 'TICKET_REFUSED', 'the ticket was used already'],
	foreign: [403, 'TICKET_REFUSED', 'the ticket was made for another holder'],
	superseded: [409, 'STREAM_SUPERSEDED', 'a newer call claimed the place of this stream'],
	detached: [
		409,
		'STREAM_DETACHED',
		'the session was detached, or the subscription closed, after this ticket was made',
	],
} as const;

export function refusal(reason: RefusalReason): Response {
	const [status, code, message] = REFUSALS[reason];
	return errorResponse(status, code, `${message}. Ask for a new ticket.`);
}

/** The same `{ code, message }` for every refusal, so that {@link openSocket} can tell them apart. */
export function errorResponse(
	status: number,
	code: SessionManagerErrorCode,
	message: string,
	headers: Record<string, string> = {},
): Response {
	return Response.json({ code, message }, { status, headers });
}

function refused(...of: Parameters<typeof errorResponse>): Upgrade {
	return { kind: 'refused', response: errorResponse(...of) };
}
