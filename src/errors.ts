/** All that can go wrong, by its stable name. A code never changes its meaning; its message may. */
export const SESSION_MANAGER_ERROR_CODES = [
	/** A session id is not 1–256 visible ASCII characters (0x21–0x7E). */
	'INVALID_SESSION_ID',
	/** Another argument, or an option, is not what the method takes. */
	'INVALID_ARGUMENT',
	/** A broadcast is over the platform's limit (32 MiB with its addressees), or a value to be stored is over its own limit. */
	'PAYLOAD_TOO_LARGE',
	/** The Worker's `env` has no binding of that name. */
	'BINDING_MISSING',
	/** The binding exists but is of another kind. */
	'BINDING_WRONG_KIND',
	/** The request on `fetch` was not a WebSocket upgrade. */
	'INVALID_UPGRADE',
	/** The ticket is missing, unknown, expired or used; or the key is not that of the object. */
	'TICKET_REFUSED',
	/** A newer claim took the place of the stream that was being opened. */
	'STREAM_SUPERSEDED',
	/** The session was detached, or the subscription closed, while its stream was being opened. */
	'STREAM_DETACHED',
	/** The object holds as many sockets as the platform allows (32,768). */
	'OBJECT_FULL',
	/** The object holds as many subscriptions as it was told to (`static options`). */
	'TOO_MANY_SUBSCRIPTIONS',
	/** The object knows as many sessions as it was told to (`static options`). */
	'TOO_MANY_SESSIONS',
	/** One owner has as many sessions, or as many `subscriptions/listen` streams, as it may (`static options`). */
	'OWNER_LIMIT_REACHED',
	/** A session is subscribed to as many resources as it may be (`static options`). */
	'TOO_MANY_RESOURCES',
	/** As many requests of the server wait in the session for an answer as one session may have (100). */
	'TOO_MANY_QUESTIONS',
	/** A server sent its client a request over a transport that cannot bring the answer back safely. */
	'SERVER_REQUEST_REFUSED',
	/** The object's class was made without SQLite (`new_classes`), and what was asked of it needs that. */
	'SQLITE_MISSING',
	/** The object could not be reached, or failed; `cause` says how. */
	'OBJECT_FAILED',
	/** Nothing of the kind is stored for the session. */
	'SESSION_INFO_NOT_FOUND',
	/** What is stored for the session is not what this library writes. */
	'SESSION_INFO_DAMAGED',
	/** KV could not be read; `cause` says why. */
	'SESSION_INFO_READ_FAILED',
	/** KV refused a write for good; `cause` says why. */
	'SESSION_INFO_WRITE_FAILED',
] as const;

/** One of {@link SESSION_MANAGER_ERROR_CODES}. */
export type SessionManagerErrorCode = (typeof SESSION_MANAGER_ERROR_CODES)[number];

/** The page of all codes: what each means, where it comes from and what to do. package.json names the same repository. */
const PAGE =
	'https://github.com/paoloricciuti/tmcp/blob/main/packages/session-manager-durable-objects/docs/errors.md';

/** Where a code is explained. */
export function pageOf(code: string): string {
	return `${PAGE}#${code.toLowerCase()}`;
}

/**
 * The one error class of this library. `code` is stable; the message says what was wrong, with which
 * value, and what to do, and ends with the address of the page that explains the code.
 *
 * The message begins with the code because an error that crosses Workers RPC loses its class, and before
 * the compatibility date 2026-04-21 its own properties too. {@link SessionManagerError.from} restores it.
 */
export class SessionManagerError extends Error {
	override readonly name = 'SessionManagerError';
	readonly code: SessionManagerErrorCode;
	/** The message without the code before it and the address after it. */
	readonly reason: string;

	/**
	 * @param code one of the stable codes
	 * @param message what was wrong, with which value, and what to do; without the code and the address
	 * @param options `cause`: the error underneath, if any
	 */
	constructor(code: SessionManagerErrorCode, message: string, options?: ErrorOptions) {
		super(`${code}: ${message} ${pageOf(code)}`, options);
		this.code = code;
		this.reason = message;
	}

	/**
	 * The coded error that arrived as a plain one over RPC, or `undefined` where it was never coded.
	 *
	 * ```ts
	 * try {
	 * 	await env.TMCP_DURABLE_OBJECT.getByName(SYNC_LAYER_NAME).has(sessionId);
	 * } catch (error) {
	 * 	if (SessionManagerError.from(error)?.code === 'INVALID_SESSION_ID') return badRequest();
	 * 	throw error;
	 * }
	 * ```
	 */
	static from(error: unknown): SessionManagerError | undefined {
		if (error instanceof SessionManagerError) return error;
		if (!(error instanceof Error)) return undefined;
		const [, name, message] =
			/^(?:SessionManagerError: )?([A-Z_]+): ([\s\S]*)$/.exec(error.message) ?? [];
		const code = SESSION_MANAGER_ERROR_CODES.find((known) => known === name);
		if (code === undefined || message === undefined) return undefined;
		// A Worker of an older version sends no address.
		const address = ` ${pageOf(code)}`;
		const reason = message.endsWith(address) ? message.slice(0, -address.length) : message;
		return new SessionManagerError(code, reason, { cause: error });
	}
}

/** A value as it is quoted in a message: short, and on one line. */
export function quote(value: unknown): string {
	if (typeof value !== 'string') return value === null ? 'null' : typeof value;
	const text = JSON.stringify(value);
	return text.length <= 80 ? text : `${text.slice(0, 80)}… (${value.length} characters)`;
}
