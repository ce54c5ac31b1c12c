import { getPerRequestProtocolVersions } from 'tmcp';
import * as v from 'valibot';

/** A message: of an MCP revision without sessions, an `initialize`, or one that needs a session. */
export type MessageKind = 'sessionless' | 'initialize' | 'session';

export const SESSION_HEADER = 'mcp-session-id';

const SESSION_METHODS = new Set(['GET', 'POST', 'DELETE']);

/** With any of these keys in `_meta`, tmcp's transport takes a message for one of a revision without sessions. */
const PER_REQUEST_KEYS = [
	'io.modelcontextprotocol/protocolVersion',
	'io.modelcontextprotocol/clientCapabilities',
	'io.modelcontextprotocol/clientInfo',
	'io.modelcontextprotocol/logLevel',
];

export const PerRequestSchema = v.object({
	params: v.object({
		_meta: v.pipe(
			v.record(v.string(), v.unknown()),
			v.check((metadata) => PER_REQUEST_KEYS.some((key) => Object.hasOwn(metadata, key))),
		),
	}),
});

/** Only to one with such an id does tmcp answer, and only with the answer a session begins. */
const InitializeSchema = v.object({
	method: v.literal('initialize'),
	id: v.union([v.string(), v.pipe(v.number(), v.integer())]),
});

export function sessionIn({ headers }: Request): string | undefined {
	return headers.get(SESSION_HEADER) || undefined;
}

/** Whether method and headers alone show that a request has no session. */
export function isSessionless({ headers, method }: Request): boolean {
	const version = headers.get('mcp-protocol-version') ?? '';
	return !SESSION_METHODS.has(method) || getPerRequestProtocolVersions().includes(version);
}

/** Whether a request without a session asks to be told of changes: its header says so, or the transport refuses it. */
export function isListen({ headers }: Request): boolean {
	return headers.get('mcp-method') === 'subscriptions/listen';
}

/** What these change is stored when the request is answered, at the latest. */
const CHANGING_METHODS = ['logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'];

const ChangingSchema = v.object({ method: v.picklist(CHANGING_METHODS) });

/** Whether a message of a session does nothing but to change what is known of that. */
export function changesSession(message: unknown): boolean {
	return v.is(ChangingSchema, message);
}

/** @param message the parsed body of a POST */
export function kindOfMessage(message: unknown): MessageKind {
	if (v.is(PerRequestSchema, message)) return 'sessionless';
	return v.is(InitializeSchema, message) ? 'initialize' : 'session';
}
