/** valibot schemas for all that crosses RPC or comes out of storage: types protect nobody at run time. */
import * as v from 'valibot';
import { quote, SessionManagerError, type SessionManagerErrorCode } from './errors.ts';
import { broadcastBytes, MAX_BROADCAST_BYTES, MAX_SESSION_ID_CHARS } from './protocol.ts';

const SessionIdSchema = v.pipe(
	v.string('is not a string'),
	v.minLength(1, 'is empty'),
	v.maxLength(MAX_SESSION_ID_CHARS, `is longer than ${MAX_SESSION_ID_CHARS} characters`),
	v.regex(/^[\x21-\x7e]*$/, 'has a character outside visible ASCII (0x21–0x7E)'),
);

const AttachOptionsSchema = v.strictObject({
	ticket: v.optional(v.pipe(v.string(), v.uuid('ticket is not a UUID'))),
});

const DetachOptionsSchema = v.strictObject({
	connectionId: v.optional(v.pipe(v.string(), v.uuid('connectionId is not a UUID'))),
});

const BroadcastSchema = v.strictObject({
	sessions: v.optional(v.array(v.unknown(), 'sessions is not an array of session ids')),
	data: v.string('data is not a string'),
});

/** `options` of `SyncLayer.attach`. */
export type AttachOptions = v.InferInput<typeof AttachOptionsSchema>;
/** `options` of `SyncLayer.detach`. */
export type DetachOptions = v.InferInput<typeof DetachOptionsSchema>;

function parse<Schema extends v.GenericSchema>(
	schema: Schema,
	input: unknown,
	code: SessionManagerErrorCode,
	describe: (issue: string) => string,
): v.InferOutput<Schema> {
	const result = v.safeParse(schema, input);
	if (result.success) return result.output;
	throw new SessionManagerError(code, describe(result.issues[0].message));
}

/** @throws `INVALID_SESSION_ID` */
export function parseSessionId(input: unknown): string {
	return parse(
		SessionIdSchema,
		input,
		'INVALID_SESSION_ID',
		(issue) =>
			`the session id ${quote(input)} ${issue}. Use 1 to ${MAX_SESSION_ID_CHARS} visible ASCII characters, for example crypto.randomUUID().`,
	);
}

export function isSessionId(input: unknown): input is string {
	return v.is(SessionIdSchema, input);
}

/** @throws `INVALID_ARGUMENT` */
export function parseAttachOptions(input: unknown): AttachOptions {
	return parse(
		AttachOptionsSchema,
		input ?? {},
		'INVALID_ARGUMENT',
		(issue) => `attach(sessionId, options): ${issue}. Options are { ticket?: UUID }.`,
	);
}

/** @throws `INVALID_ARGUMENT` */
export function parseDetachOptions(input: unknown): DetachOptions {
	return parse(
		DetachOptionsSchema,
		input ?? {},
		'INVALID_ARGUMENT',
		(issue) => `detach(sessionId, options): ${issue}. Options are { connectionId?: UUID }.`,
	);
}

/**
 * The addressees, each once, and the payload of a broadcast.
 * @throws `INVALID_ARGUMENT`, `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
 */
export function parseBroadcast(
	sessions: unknown,
	data: unknown,
): { sessions: string[] | undefined; data: string } {
	const input = parse(
		BroadcastSchema,
		{ sessions: sessions ?? undefined, data },
		'INVALID_ARGUMENT',
		(issue) =>
			`broadcast(sessions, data): ${issue}. Name the sessions as an array of ids, or undefined for all, and give the payload as a string.`,
	);
	const addressees = input.sessions && [...new Set(input.sessions.map(parseSessionId))];
	const bytes = broadcastBytes(addressees, input.data);
	if (bytes > MAX_BROADCAST_BYTES) {
		throw new SessionManagerError(
			'PAYLOAD_TOO_LARGE',
			`a broadcast of ${bytes} bytes is over the platform's limit of ${MAX_BROADCAST_BYTES}. Send a link to the content, or split it.`,
		);
	}
	return { sessions: addressees, data: input.data };
}

/** @throws `INVALID_ARGUMENT` */
export function parseUri(input: unknown): string {
	return parse(
		v.string(),
		input,
		'INVALID_ARGUMENT',
		() => `the resource URI is not a string but ${quote(input)}.`,
	);
}

/**
 * The options of a manager, with their defaults.
 * @throws `INVALID_ARGUMENT`
 */
export function parseOptions<Schema extends v.GenericSchema>(
	schema: Schema,
	input: unknown,
	manager: string,
): v.InferOutput<Schema> {
	const result = v.safeParse(schema, input ?? {});
	if (result.success) return result.output;
	const [issue] = result.issues;
	throw new SessionManagerError(
		'INVALID_ARGUMENT',
		`${manager}: the option ${v.getDotPath(issue) ?? 'object'} is not valid (${issue.message}).`,
	);
}
