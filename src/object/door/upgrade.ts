import * as v from 'valibot';
import type { SessionManagerErrorCode } from '../../errors.ts';
import { KEY_HEADER, TICKET_HEADER } from '../../wire/upgrade.ts';
import type { RefusalReason } from './tickets.ts';

export type Upgrade =
	| { kind: 'ticket'; ticket: string }
	/** With the key of the object, as far as that is true. */
	| { kind: 'claim'; key: string; claim: string }
	| { kind: 'refused'; response: Response };

const TicketSchema = v.pipe(v.string(), v.uuid());

/** What a request on `fetch` asks for: a socket, or nothing that we give. */
export function readUpgrade({ headers }: Request): Upgrade {
	if (headers.get('upgrade')?.toLowerCase() !== 'websocket') {
		const response = errorResponse(
			'INVALID_UPGRADE',
			'this object answers WebSocket upgrades only; everything else is a method of its stub (attach, detach, end, has, broadcast, subscribe, publish, unsubscribe, stats).',
		);
		response.headers.set('upgrade', 'websocket');
		return { kind: 'refused', response };
	}
	const keyed = headers.get(KEY_HEADER);
	if (keyed !== null) {
		const [key = '', claim = ''] = keyed.split(' ');
		return { kind: 'claim', key, claim };
	}
	const ticket = headers.get(TICKET_HEADER);
	if (v.is(TicketSchema, ticket)) return { kind: 'ticket', ticket };
	const response = errorResponse(
		'TICKET_REFUSED',
		`the header ${TICKET_HEADER} is ${ticket === null ? 'missing' : 'not a ticket'}. Call attach(sessionId), or subscribe(subscription), and open the socket with the ticket that it answers.`,
	);
	return { kind: 'refused', response };
}

const REFUSALS = {
	unknown: ['TICKET_REFUSED', 'nobody made this ticket in time'],
	expired: ['TICKET_REFUSED', 'the ticket has expired'],
	redeemed: ['TICKET_REFUSED', 'the ticket was used already'],
	forged: ['TICKET_REFUSED', 'the key is not that of the object'],
	superseded: ['STREAM_SUPERSEDED', 'a newer call claimed the place of this stream'],
	detached: [
		'STREAM_DETACHED',
		'the session was detached, or the subscription ended, after this ticket was made',
	],
} as const;

export function codeOfRefusal(why: RefusalReason) {
	return REFUSALS[why][0];
}

/** @param reason how a subscription ended, where that is why */
export function refusal(why: RefusalReason, reason?: string): Response {
	const [code, message] = REFUSALS[why];
	return errorResponse(code, `${message}. Ask for a new ticket.`, reason);
}

const STATUS: Partial<Record<SessionManagerErrorCode, number>> = {
	INVALID_UPGRADE: 426,
	TICKET_REFUSED: 403,
	STREAM_SUPERSEDED: 409,
	STREAM_DETACHED: 409,
	OBJECT_FULL: 503,
};

/** The same `{ code, message, reason? }` for every refusal, so that the Worker can tell them apart. */
export function errorResponse(
	code: SessionManagerErrorCode,
	message: string,
	reason?: string,
): Response {
	return Response.json({ code, message, reason }, { status: STATUS[code] ?? 400 });
}
