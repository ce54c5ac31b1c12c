import * as channels from '../../diagnostics/channels.ts';
import { here } from '../here.ts';
import { sessionIn } from './request-kind.ts';

/** When a client that found no room may try again, and how long a gateway remembers that there was none, in seconds. */
export const RETRY_AFTER_S = 30;

/** The answers to requests that are refused, as the official SDK's server gives them: status, JSON-RPC code, message. */
const REFUSALS = {
	host: [403, -32000, 'Forbidden: the server has no such host'],
	inUrl: [
		400,
		-32000,
		'Bad Request: a session id in the URL is not taken, because nobody could tell whose it is. SseTransport, which puts it there, cannot stand behind a SessionGateway.',
	],
	tooSlow: [408, -32000, 'Request Timeout: the message did not arrive in time'],
	missing: [400, -32000, 'Bad Request: Mcp-Session-Id header is required'],
	unknown: [404, -32001, 'Session not found'],
	unreadable: [400, -32600, 'Invalid Request: the server cannot read this initialize'],
	tooLarge: [413, -32600, 'Invalid Request: the message has too many bytes'],
	clientInvalid: [
		400,
		-32602,
		'Invalid params: clientInfo or capabilities are not as MCP has them',
	],
	clientTooLarge: [413, -32602, 'Invalid params: clientInfo and capabilities have too many bytes'],
	lost: [410, -32000, 'Gone: the server instance that waited for this answer was lost'],
	TOO_MANY_SESSIONS: [
		503,
		-32000,
		'TOO_MANY_SESSIONS: the server has as many sessions as it takes. Try again later.',
	],
	OWNER_LIMIT_REACHED: [
		429,
		-32000,
		'OWNER_LIMIT_REACHED: you have as many sessions as one owner may have. End one of them, or try again later.',
	],
} as const;

/** @param headers what the transport answers a request of this client with: those of CORS let a page read the refusal */
export function refusal(
	request: Request,
	why: keyof typeof REFUSALS,
	headers = new Headers(),
	data?: object,
): Response {
	const [status, code, message] = REFUSALS[why];
	if (channels.refused.hasSubscribers) {
		channels.refused.publish({ ...here(sessionIn(request)), reason: why, status });
	}
	const sent = new Headers([...headers].filter(([name]) => name.startsWith('access-control-')));
	if (status === 429 || status === 503) sent.set('retry-after', String(RETRY_AFTER_S));
	const body = { jsonrpc: '2.0', id: null, error: { code, message, data } };
	return Response.json(body, { status, headers: sent });
}
