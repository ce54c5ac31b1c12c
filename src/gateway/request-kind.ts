import { getPerRequestProtocolVersions } from 'tmcp';
import * as v from 'valibot';

/**
 * What a gateway has to do with a request: nothing (`sessionless`: a revision without sessions, or a method that no
 * session has), to note the session that it begins, or to look after the session that it is of.
 */
export type RequestKind = 'sessionless' | 'initialize' | 'session';

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

/** Tell by the headers where they decide, which costs nothing; else by the body, of which a copy is read. */
export async function kindOfRequest(request: Request): Promise<RequestKind> {
	const { headers, method } = request;
	const version = headers.get('mcp-protocol-version');
	if (version !== null && getPerRequestProtocolVersions().includes(version)) return 'sessionless';
	if (method === 'GET' || method === 'DELETE') return 'session';
	return method === 'POST' ? kindOfMessage(await readMessage(request)) : 'sessionless';
}

/** @param message what stands in the body of a POST whose headers do not decide */
export function kindOfMessage(message: unknown): RequestKind {
	if (v.is(PerRequestSchema, message)) return 'sessionless';
	return v.is(InitializeSchema, message) ? 'initialize' : 'session';
}

/** What is no JSON is for the transport to refuse. */
async function readMessage(request: Request): Promise<unknown> {
	try {
		return await request.clone().json();
	} catch {
		return undefined;
	}
}
