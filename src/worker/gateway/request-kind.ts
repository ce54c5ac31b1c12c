import { getPerRequestProtocolVersions } from 'tmcp';
import * as v from 'valibot';

/**
 * A request without a valid session, by its body: a message of an MCP revision without sessions, an `initialize`, a message
 * that needs a session, or a body over {@link MAX_MESSAGE_BYTES}.
 */
export type MessageKind = 'sessionless' | 'initialize' | 'session' | 'tooLarge';

/** How much of a body is read where there is no valid session, in bytes: 4 MiB, as much as the official SDK's server takes. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

const SESSION_METHODS = new Set(['GET', 'POST', 'DELETE']);

/** With any of these keys in `_meta`, tmcp's transport takes a message for one of a revision without sessions. */
const PER_REQUEST_KEYS = [
	'io.modelcontextprotocol/protocolVersion',
	'io.modelcontextprotocol/clientCapabilities',
	'io.modelcontextprotocol/clientInfo',
	'io.modelcontextprotocol/logLevel',
];

const PerRequestSchema = v.object({
	params: v.object({
		_meta: v.pipe(
			v.record(v.string(), v.unknown()),
			v.check((metadata) => PER_REQUEST_KEYS.some((key) => Object.hasOwn(metadata, key))),
		),
	}),
});

const InitializeSchema = v.object({ method: v.literal('initialize') });

/** Whether method and headers alone show that a request has no session. */
export function isSessionless({ headers, method }: Request): boolean {
	const version = headers.get('mcp-protocol-version') ?? '';
	return !SESSION_METHODS.has(method) || getPerRequestProtocolVersions().includes(version);
}

/** Whether a request without a session asks to be told of changes: its header says so, or the transport refuses it. */
export function isListen({ headers }: Request): boolean {
	return headers.get('mcp-method') === 'subscriptions/listen';
}

/** Reads a copy of the body. A body that is not JSON counts as `session`. */
export async function kindOfBody(request: Request): Promise<MessageKind> {
	const isJson = request.headers.get('content-type')?.includes('application/json');
	if (request.method !== 'POST' || !isJson) return 'session';
	const text = await readText(request);
	if (text === undefined) return 'tooLarge';
	try {
		return kindOfMessage(JSON.parse(text));
	} catch {
		return 'session';
	}
}

/** @param message the parsed body of a POST */
export function kindOfMessage(message: unknown): MessageKind {
	if (v.is(PerRequestSchema, message)) return 'sessionless';
	return v.is(InitializeSchema, message) ? 'initialize' : 'session';
}

/** @returns `undefined` for a body over {@link MAX_MESSAGE_BYTES}, which is then cancelled */
async function readText(request: Request): Promise<string | undefined> {
	const chunks: Uint8Array[] = [];
	let bytes = 0;
	for await (const chunk of request.clone().body ?? []) {
		bytes += chunk.byteLength;
		if (bytes > MAX_MESSAGE_BYTES) {
			await request.body?.cancel();
			return undefined;
		}
		chunks.push(chunk);
	}
	return new Blob(chunks).text();
}
