import * as v from 'valibot';
import { quote, type SessionManagerErrorCode } from '../errors.ts';
import { MAX_SESSION_ID_CHARS, SESSION_ID_PARAM, TICKET_HEADER } from '../protocol.ts';
import { isSessionId } from '../schemas.ts';
import type { Redemption } from './ticket-office.ts';

export type Upgrade =
	| { kind: 'upgrade'; sessionId: string; ticket: string }
	| { kind: 'refused'; response: Response };

const TicketSchema = v.pipe(v.string(), v.uuid());

/** What a request on `fetch` asks for: a socket for one session with one ticket, or nothing we give. */
export function readUpgrade(request: Request): Upgrade {
	if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') {
		return refused(
			426,
			'INVALID_UPGRADE',
			'this object answers WebSocket upgrades only; everything else is a method of its stub (attach, detach, has, broadcast, stats).',
			{ upgrade: 'websocket' },
		);
	}
	const sessionId = new URL(request.url).searchParams.get(SESSION_ID_PARAM);
	if (!isSessionId(sessionId)) {
		return refused(
			400,
			'INVALID_SESSION_ID',
			`the query parameter ${SESSION_ID_PARAM} is ${quote(sessionId)}; it takes 1 to ${MAX_SESSION_ID_CHARS} visible ASCII characters, URL-encoded.`,
		);
	}
	const ticket = request.headers.get(TICKET_HEADER);
	if (!v.is(TicketSchema, ticket)) {
		return refused(
			401,
			'TICKET_REFUSED',
			`the header ${TICKET_HEADER} is ${ticket === null ? 'missing' : 'not a ticket'}. Call attach(sessionId) and open the socket with the ticket that it answers.`,
		);
	}
	return { kind: 'upgrade', sessionId, ticket };
}

const REFUSALS = {
	unknown: [403, 'TICKET_REFUSED', 'no attach made this ticket in time'],
	expired: [403, 'TICKET_REFUSED', 'the ticket has expired'],
	redeemed: [403, 'TICKET_REFUSED', 'the ticket was used already'],
	foreign: [403, 'TICKET_REFUSED', 'the ticket was made for another session'],
	superseded: [409, 'STREAM_SUPERSEDED', 'a newer attach claimed the stream of this session'],
	detached: [409, 'STREAM_DETACHED', 'the session was detached after this ticket was made'],
} as const;

export function refusal(reason: Extract<Redemption, { kind: 'refused' }>['reason']): Response {
	const [status, code, message] = REFUSALS[reason];
	return errorResponse(status, code, `${message}. Call attach again for a new ticket.`);
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
