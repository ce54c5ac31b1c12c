import { getPerRequestProtocolVersions } from 'tmcp';
import * as v from 'valibot';

/**
 * What a message is that no session lets in: one of a revision without sessions, one that begins a session, one that needs
 * a session, or more than is read to find that out.
 */
export type MessageKind = 'sessionless' | 'initialize' | 'session' | 'tooLarge';

/** How much is read of a message that no session lets in, in bytes: as much as the official SDK's server takes, 4 MiB. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

const SESSION_METHODS = new Set(['GET', 'POST', 'DELETE']);

/** Which of the keys in `_meta` makes a message one of a revision without sessions: any. As tmcp's transport has it. */
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

/** Whether a request has no session by what stands in its head, which costs nothing. */
export function isSessionless({ headers, method }: Request): boolean {
	const version = headers.get('mcp-protocol-version') ?? '';
	return !SESSION_METHODS.has(method) || getPerRequestProtocolVersions().includes(version);
}

/** Whether a request without a session asks to be told of changes: its header says so, or the transport refuses it. */
export function isListen({ headers }: Request): boolean {
	return headers.get('mcp-method') === 'subscriptions/listen';
}

/** Tell by the body, of which a copy is read. What is no JSON is no message. */
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

/** @param message what stands in the body of a POST */
export function kindOfMessage(message: unknown): MessageKind {
	if (v.is(PerRequestSchema, message)) return 'sessionless';
	return v.is(InitializeSchema, message) ? 'initialize' : 'session';
}

/** @returns `undefined` where it is too much, and then nothing more is read of it */
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
