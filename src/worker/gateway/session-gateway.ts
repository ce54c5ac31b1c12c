import * as v from 'valibot';
import { hash } from '../hash.ts';
import { type RequestScope, runInScope } from '../request/request-scope.ts';
import {
	lookUpSyncLayer,
	type SyncLayerBinding,
	type SyncLayerNamespace,
} from '../routing/binding.ts';
import { callObject } from '../routing/object.ts';
import { isSessionId } from '../../wire/arguments.ts';
import { MAX_ANSWER_BYTES, MAX_ANSWER_TIMEOUT_MS } from '../../wire/limits.ts';
import {
	functionSchema,
	hasMethod,
	parseOptions,
	PositiveIntegerSchema,
} from '../../wire/options.ts';
import { parseWireId } from '../../wire/wire-id.ts';
import { SessionManagerError } from '../../errors.ts';
import { askingResponse } from '../answers/asking-response.ts';
import { readAnswer } from '../answers/messages.ts';
import { keepAliveEntries, keptAlive } from '../streams/keep-alive.ts';
import { AllowedHostsSchema, refuseForeignHost } from './allowed-hosts.ts';
import { hasMessage, type MessageBody, readMessage, withMessage } from './message-body.ts';
import { isListen, isSessionless } from './request-kind.ts';

const SESSION_HEADER = 'mcp-session-id';

/**
 * What a gateway stands in front of: tmcp's `HttpTransport`, or an object that answers as it does. Where a request has no
 * valid session, the transport gets a probe first (a POST with the same headers, but without content type and body), so
 * that its own refusals come before those of the gateway.
 */
export interface GatewayTransport<Custom> {
	respond(request: Request, ctx?: Custom): Promise<Response | null>;
}

/** Reads what is stored for a session ahead of time. */
export interface SessionPrefetcher {
	/** Begin to read what the transport will ask for in the running request. */
	prefetch(sessionId: string): void;
}

/** How many bytes a message may have, unless told otherwise: 256 KiB. */
const DEFAULT_MAX_BODY_BYTES = 256 * 1024;

/** How long a server's request waits for its answer, in milliseconds, unless told otherwise: 5 minutes. */
const DEFAULT_ANSWER_TIMEOUT_MS = 5 * 60_000;

const OptionsSchema = v.strictObject({
	path: v.optional(v.nullable(v.string()), '/mcp'),
	info: v.optional(
		v.custom<SessionPrefetcher>(
			(value) => hasMethod(value, 'prefetch'),
			'info is not a KVInfoSessionManager, nor anything else with prefetch()',
		),
	),
	owner: v.optional(functionSchema<OwnerOf>(), () => () => undefined),
	takeover: v.optional(v.boolean(), true),
	...keepAliveEntries,
	answerTimeout: v.optional(
		v.pipe(PositiveIntegerSchema, v.maxValue(MAX_ANSWER_TIMEOUT_MS)),
		DEFAULT_ANSWER_TIMEOUT_MS,
	),
	maxBodyBytes: v.optional(PositiveIntegerSchema, DEFAULT_MAX_BODY_BYTES),
	allowedHosts: v.optional(AllowedHostsSchema),
});

type OwnerOf = (request: Request) => string | undefined | Promise<string | undefined>;

/** Options of {@link SessionGateway}. */
export interface SessionGatewayOptions {
	/**
	 * The `path` option of the transport (default `/mcp`; `null`: all paths). Requests to other paths go to the transport
	 * unchecked, except those with a session id that it would serve.
	 */
	path?: string | null;
	/** The {@link KVInfoSessionManager} of the transport. With it, KV is read while the object is asked, and not after. */
	info?: SessionPrefetcher;
	/**
	 * Returns who makes a request, for example the subject of its token; only that owner can use the sessions that it began,
	 * and how many sessions and listen streams it has is limited. Must not read the body. The owner is stored as a hash.
	 * Default: no owner, so whoever has a session's id can use it, and only the object's own limits hold.
	 */
	owner?: OwnerOf;
	/**
	 * Whether a GET supersedes the stream that its session already has (default), or is refused with 409. A client that lost
	 * its connection comes back before the server has noticed that, and would be refused until it has.
	 */
	takeover?: boolean;
	/**
	 * How long a response that stays open may be idle before a comment is written on it, in milliseconds (default 25,000):
	 * that of a POST, of a `subscriptions/listen`, and of a GET, where the pause of its stream manager counts if it is
	 * shorter. It keeps proxies from cutting the response, and shows when a client has vanished.
	 */
	keepAlive?: number;
	/** How much may wait for the client of a listen stream that does not read, in bytes: as for {@link withKeepAlive}. */
	maxQueuedBytes?: number;
	/** Told when a client was cut off because of that (default: nothing). */
	onCutOff?: () => void;
	/**
	 * How long a request of the server to its client (`elicitation`, `sampling`, `roots`) waits for the answer, in
	 * milliseconds (default 300,000: five minutes; at most a day). Then the tool gets a JSON-RPC error (-32001), and the
	 * client `notifications/cancelled`.
	 */
	answerTimeout?: number;
	/**
	 * How large the body of a POST may be, in bytes (default 262,144: 256 KiB). More is refused with 413, and so is an answer
	 * to a server's request of more than 1,900,000, whatever this says.
	 */
	maxBodyBytes?: number;
	/**
	 * The hosts that clients reach the server by: `localhost` (with any port), `example.com:8787` (with that one only), `[::1]`.
	 * Every request on the path whose URL or `Host` header names another one is refused with 403, before anything else. A web
	 * page cannot then reach a server on its reader's machine by DNS rebinding, which the transport's `allowedOrigins` does
	 * not prevent, because it takes any origin that is the one of the request's own URL. At least one (default: any host. A
	 * deployed Worker is reached by the names of its routes only).
	 */
	allowedHosts?: readonly string[];
}

/**
 * A stream begins with an event that has an id and no message, so that the client has an id to come back with. Clients of
 * this revision and later expect it with empty data. Older clients would parse the empty data, so theirs has an event name
 * that they do not know: they note the id and ignore the rest.
 */
const FIRST_PRIMED_VERSION = '2025-11-25';
const PRIMING_EVENT = 'data: \n\n';
const OTHER_PRIMING_EVENT = `event: place\n${PRIMING_EVENT}`;

/** When a client that found no room may try again, and how long a gateway remembers that there was none, in seconds. */
const RETRY_AFTER_S = 30;

/** The answers to requests that are refused, as the official SDK's server gives them. */
const REFUSALS = {
	missing: { status: 400, code: -32000, message: 'Bad Request: Mcp-Session-Id header is required' },
	unknown: { status: 404, code: -32001, message: 'Session not found' },
	tooLarge: {
		status: 413,
		code: -32600,
		message: 'Invalid Request: the message has too many bytes',
	},
	lost: {
		status: 410,
		code: -32000,
		message: 'Gone: the server instance that waited for this answer was lost',
	},
	TOO_MANY_SESSIONS: {
		status: 503,
		code: -32000,
		message: 'TOO_MANY_SESSIONS: the server has as many sessions as it takes. Try again later.',
	},
	OWNER_LIMIT_REACHED: {
		status: 429,
		code: -32000,
		message:
			'OWNER_LIMIT_REACHED: you have as many sessions as one owner may have. End one of them, or try again later.',
	},
} as const;

/**
 * Stands in front of an `HttpTransport` and does what it cannot do for the MCP revisions with sessions:
 *
 * - It answers 404 for a session that was never issued, has ended, has expired or is another owner's, the same for all of
 *   them, and 400 where the session id is missing. Only the transport makes ids: one in an `initialize` is ignored.
 * - A GET supersedes a stream whose client is gone, and continues after its `Last-Event-ID`.
 * - What a tool asks the client (elicitation, sampling, roots) gets its answer, whichever instance that reaches, and nobody
 *   else's answer: see {@link SessionGatewayOptions.answerTimeout}.
 * - KV is read while the object is asked, so both take one round trip.
 * - Where the object has as many sessions as it takes, it answers an `initialize` with 503, and where the owner has as many
 *   as one may have, with 429; both with `Retry-After`, and with the error's code in the text.
 * - It keeps alive what stays open, so that {@link withKeepAlive} is not needed. The responses of event streams are
 *   therefore not those of the transport: `transport.closeSubscription()` does not know them.
 *
 * Requests of MCP 2026-07-28, which have no session, pass; the object is told the hash of the owner of a listen stream.
 *
 * ```ts
 * const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', { info, owner: userOf });
 * export default { fetch: async (request) => (await gateway.respond(request)) ?? notFound() };
 * ```
 *
 * Sessions are stored in the object, and expire after a time without requests: `sessionTtl` in its `static options`. The
 * transport's `streams` must be a {@link DurableObjectStreamSessionManager} of the same object, because that ends them.
 * Safe to construct at module scope.
 */
export class SessionGateway<Custom = undefined> {
	#transport: GatewayTransport<Custom>;
	#options: v.InferOutput<typeof OptionsSchema>;
	#namespace: () => SyncLayerNamespace;
	/** Until then, in milliseconds since 1970, no session is begun, because the object had no room: a flood costs no calls. */
	#fullUntil = 0;

	/**
	 * @param transport only the gateway may call it: a session that began without the gateway is unknown to it
	 * @param binding name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), or the namespace itself
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(
		transport: GatewayTransport<Custom>,
		binding?: SyncLayerBinding | SyncLayerNamespace,
		options?: SessionGatewayOptions,
	) {
		this.#transport = transport;
		this.#options = parseOptions(OptionsSchema, options, 'SessionGateway');
		this.#namespace = lookUpSyncLayer(binding ?? 'TMCP_DURABLE_OBJECT');
	}

	/**
	 * Answer a request as the transport would, or refuse it.
	 * @returns `null` where the transport does not serve the path
	 * @throws what the transport and `owner` throw, and where the object cannot be asked: `BINDING_MISSING`,
	 * `BINDING_WRONG_KIND`, `OBJECT_FAILED`, and `SQLITE_MISSING` for a class that was made with `new_classes`
	 */
	async respond(request: Request, ctx?: Custom): Promise<Response | null> {
		const response = await this.#respond(request, ctx);
		return response && keptAlive(response, this.#options);
	}

	async #respond(request: Request, ctx: Custom | undefined): Promise<Response | null> {
		const session = request.headers.get(SESSION_HEADER) || undefined;
		const isGuarded = this.#isOnPath(request) || (session && (await this.#probe(request, ctx)));
		if (!isGuarded) return this.#transport.respond(request, ctx);
		const { allowedHosts } = this.#options;
		const refused = allowedHosts && refuseForeignHost(request, allowedHosts);
		if (refused) return refused;
		if (isSessionless(request)) return this.#pass(request, ctx);
		const owner = await this.#options.owner(request);
		return session === undefined
			? this.#receive(request, ctx, owner, 'missing')
			: this.#goOn(session, request, ctx, owner);
	}

	/** Of a request without a session, only a listen stays open, and is counted for its owner. */
	async #pass(request: Request, ctx: Custom | undefined): Promise<Response | null> {
		if (!isListen(request)) return this.#transport.respond(request, ctx);
		const account = await this.#accountOf(await this.#options.owner(request));
		const scope = { ...NO_SESSION, account };
		return runInScope(scope, () => this.#transport.respond(request, ctx));
	}

	#isOnPath({ url }: Request): boolean {
		const { path } = this.#options;
		return path === null || new URL(url).pathname === path;
	}

	/** The transport's answer to a request without content; `null` where it does not serve the URL. */
	#probe({ url, headers }: Request, ctx: Custom | undefined): Promise<Response | null> {
		const probe = new Request(url, { method: 'POST', headers });
		probe.headers.delete('content-type');
		return this.#transport.respond(probe, ctx);
	}

	async #goOn(
		session: string,
		request: Request,
		ctx: Custom | undefined,
		owner: string | undefined,
	): Promise<Response | null> {
		const ownerHash = await this.#hashOfOwner(session, owner);
		const scope = scopeOf(request, this.#options, ownerHash);
		const admitted = await runInScope(scope, async () => {
			if (!(await this.#admit(session, ownerHash, request))) return undefined;
			if (!hasMessage(request)) return { response: await this.#transport.respond(request, ctx) };
			return { response: await this.#takeMessage(session, ownerHash, request, ctx, scope) };
		});
		return admitted ? admitted.response : this.#receive(request, ctx, owner, 'unknown');
	}

	async #admit(session: string, ownerHash: string, { method }: Request): Promise<boolean> {
		if (!isSessionId(session)) return false;
		// Only on a POST does the transport read the session's info.
		if (method === 'POST') this.#options.info?.prefetch(session);
		return callObject(this.#namespace(), (stub) => stub.admit(session, ownerHash));
	}

	/** Answer a POST of a session. */
	async #takeMessage(
		session: string,
		ownerHash: string,
		request: Request,
		ctx: Custom | undefined,
		scope: RequestScope,
	): Promise<Response | null> {
		const body = await readMessage(request, this.#options.maxBodyBytes);
		if (!body) return this.#refuseAsTooLarge(request, ctx);
		if (body.kind === 'answer') return this.#takeAnswer(session, ownerHash, body, ctx);
		const response = await this.#transport.respond(body.request, ctx);
		if (!response || body.kind === 'sessionless') return response;
		return askingResponse(response, {
			namespace: this.#namespace(),
			session,
			owner: ownerHash,
			timeout: this.#options.answerTimeout,
			requestId: Reflect.get(Object(body.message), 'id'),
			respond: (answer) =>
				runInScope(scope, () => this.#transport.respond(withMessage(request, answer), ctx)),
		});
	}

	/**
	 * Give an answer to the one who asked. The transport never sees it: it gets one to nothing in its place, and says what it
	 * says to any other, so that nothing shows whether somebody waited for it.
	 */
	async #takeAnswer(
		session: string,
		ownerHash: string,
		{ message, request }: MessageBody,
		ctx: Custom | undefined,
	): Promise<Response | null> {
		const response = await this.#transport.respond(withMessage(request, standIn(message)), ctx);
		const answer = readAnswer(message);
		if (response?.status !== 202 || !answer || !parseWireId(answer.id)) return response;
		const text = JSON.stringify(answer);
		if (new TextEncoder().encode(text).byteLength > MAX_ANSWER_BYTES) {
			return refusal('tooLarge', response.headers, { maxBytes: MAX_ANSWER_BYTES });
		}
		const outcome = await callObject(this.#namespace(), (stub) =>
			stub.answer(session, ownerHash, answer.id, text),
		);
		return outcome === 'lost' ? refusal('lost', response.headers) : response;
	}

	async #refuseAsTooLarge(request: Request, ctx: Custom | undefined): Promise<Response | null> {
		const answer = await this.#probe(request, ctx);
		if (!answer || answer.status === 401 || answer.status === 403) return answer;
		return refusal('tooLarge', answer.headers, { maxBytes: this.#options.maxBodyBytes });
	}

	/**
	 * Answer a request without a valid session. The transport is probed before the body is read: it may refuse the request
	 * for its path, origin or token, and a refusal of ours needs the transport's CORS headers to be readable by a page.
	 */
	async #receive(
		request: Request,
		ctx: Custom | undefined,
		owner: string | undefined,
		why: 'missing' | 'unknown',
	): Promise<Response | null> {
		const answer = await this.#probe(request, ctx);
		if (!answer || answer.status === 401 || answer.status === 403) return answer;
		if (!hasMessage(request)) return refusal(why, answer.headers);
		const body = await readMessage(request, this.#options.maxBodyBytes);
		if (!body) {
			return refusal('tooLarge', answer.headers, { maxBytes: this.#options.maxBodyBytes });
		}
		if (body.kind === 'sessionless') return this.#pass(body.request, ctx);
		if (body.kind === 'initialize') return this.#begin(body.request, ctx, owner, answer.headers);
		return refusal(why, answer.headers);
	}

	async #begin(
		request: Request,
		ctx: Custom | undefined,
		owner: string | undefined,
		headers: Headers,
	): Promise<Response | null> {
		if (Date.now() < this.#fullUntil) return refusal('TOO_MANY_SESSIONS', headers);
		const response = await this.#transport.respond(withoutSession(request), ctx);
		const session = response?.ok ? response.headers.get(SESSION_HEADER) : null;
		if (session === null) return response;
		try {
			const ownerHash = await this.#hashOfOwner(session, owner);
			const account = await this.#accountOf(owner);
			await callObject(this.#namespace(), (stub) => stub.begin(session, ownerHash, { account }));
		} catch (error) {
			await response?.body?.cancel();
			const { code } = SessionManagerError.from(error) ?? {};
			if (code === 'TOO_MANY_SESSIONS') this.#fullUntil = Date.now() + RETRY_AFTER_S * 1000;
			if (code === 'TOO_MANY_SESSIONS' || code === 'OWNER_LIMIT_REACHED') {
				return refusal(code, headers);
			}
			throw error;
		}
		return response;
	}

	/** The path keeps servers apart; the session id keeps two sessions of one owner from having the same hash. */
	#hashOfOwner(session: string, owner: string | undefined): Promise<string> {
		return hash(JSON.stringify([this.#options.path, session, owner ?? null]));
	}

	/** What is counted together. Nobody is no owner: those who are not named share no limit. */
	async #accountOf(owner: string | undefined): Promise<string | undefined> {
		return owner === undefined ? undefined : hash(JSON.stringify([this.#options.path, owner]));
	}
}

const NO_SESSION = {
	ownerHash: undefined,
	lastEventId: undefined,
	takesOver: false,
	primingEvent: undefined,
};

function scopeOf(
	{ headers, method }: Request,
	{ takeover }: v.InferOutput<typeof OptionsSchema>,
	ownerHash: string,
): RequestScope {
	const isGet = method === 'GET';
	const version = headers.get('mcp-protocol-version') ?? '';
	return {
		// What a session does is counted by the session.
		account: undefined,
		ownerHash,
		lastEventId: (isGet && headers.get('last-event-id')) || undefined,
		takesOver: isGet && takeover,
		primingEvent: version >= FIRST_PRIMED_VERSION ? PRIMING_EVENT : OTHER_PRIMING_EVENT,
	};
}

function refusal(why: keyof typeof REFUSALS, headers: Headers, data?: object): Response {
	const { status, ...error } = REFUSALS[why];
	const sent = new Headers([...headers].filter(([name]) => name.startsWith('access-control-')));
	if (status === 429 || status === 503) sent.set('retry-after', String(RETRY_AFTER_S));
	const message = { jsonrpc: '2.0', id: null, error: { ...error, data } };
	return Response.json(message, { status, headers: sent });
}

/** What the transport makes the same of as of this answer, but for which nobody waits. */
function standIn(answer: unknown): object {
	const has = (name: string) => Object.hasOwn(Object(answer), name);
	const of = (name: string): unknown => Reflect.get(Object(answer), name);
	const id = of('id');
	return {
		jsonrpc: of('jsonrpc'),
		id: typeof id === 'string' || typeof id === 'number' ? crypto.randomUUID() : id,
		...(has('result') ? { result: {} } : {}),
		...(has('error') ? { error: { code: 0, message: '' } } : {}),
	};
}

/** The transport accepts any session id that an `initialize` brings, which could be another client's, or easy to guess. */
function withoutSession(request: Request): Request {
	if (!request.headers.has(SESSION_HEADER)) return request;
	const headers = new Headers(request.headers);
	headers.delete(SESSION_HEADER);
	return new Request(request, { headers });
}
