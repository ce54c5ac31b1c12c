import * as v from 'valibot';
import * as channels from '../../diagnostics/channels.ts';
import { publishFailure } from '../../diagnostics/failure.ts';
import { runInTrace, traceOfHeaders, traceOfMessage } from '../../diagnostics/trace.ts';
import { accountOf } from '../account.ts';
import { hash } from '../hash.ts';
import { here } from '../here.ts';
import { hold } from '../request/hold.ts';
import { type Ended, type RequestScope, runInScope } from '../request/request-scope.ts';
import type { Answered } from '../routing/answered.ts';
import { type Homes, homesOf, type SessionHomes } from '../routing/homes.ts';
import { callObject } from '../routing/object.ts';
import type { Relayed } from '../../wire/answers.ts';
import { isSessionId } from '../../wire/arguments.ts';
import { boundEventId } from '../../wire/event-id.ts';
import {
	byteLength,
	MAX_ANSWER_BYTES,
	MAX_ANSWER_TIMEOUT_MS,
	MAX_SESSION_INFO_BYTES,
} from '../../wire/limits.ts';
import {
	functionSchema,
	hasMethod,
	parseOptions,
	PositiveIntegerSchema,
	TimerSchema,
} from '../../wire/options.ts';
import { parseWireId } from '../../wire/wire-id.ts';
import { quote, SessionManagerError } from '../../errors.ts';
import { askingResponse } from '../answers/asking-response.ts';
import { hasResult, readAnswer, standInFor } from '../answers/messages.ts';
import { Beginning } from '../info/beginning.ts';
import { keepAliveEntries, keptAlive } from '../streams/keep-alive.ts';
import { AllowedHostsSchema, isForAllowedHost } from './allowed-hosts.ts';
import {
	type BodyFlaw,
	hasMessage,
	type MessageBody,
	readMessage,
	withMessage,
} from './message-body.ts';
import { refusal, RETRY_AFTER_S } from './refusal.ts';
import {
	changesSession,
	isListen,
	isSessionless,
	SESSION_HEADER,
	sessionIn,
} from './request-kind.ts';

/**
 * What a gateway stands in front of: tmcp's `HttpTransport`, or an object that answers as it does. Where a request has no
 * valid session, or is a DELETE, the transport gets a probe first (a POST with the same headers, but without content type and
 * body), so that its own refusals come before those of the gateway, and before the session ends.
 */
export interface GatewayTransport<Custom> {
	respond(request: Request, ctx?: Custom): Promise<Response | null>;
}

/** Reads what is stored for a session ahead of time. */
export interface SessionPrefetcher {
	/** Begin to read what the transport will ask for in the running request. */
	prefetch(sessionId: string): void;
}

/** Admits sessions in the place of the gateway, and knows from the same call what the transport will ask for. */
export interface SessionAdmitter {
	/** @param willChange whether the request is to change what is known of the session, and does nothing else */
	admit(sessionId: string, ownerHash: string, willChange: boolean): Promise<boolean>;
}

const DEFAULT_MAX_BODY_BYTES = 256 * 1024;
const DEFAULT_BODY_TIMEOUT_MS = 30_000;
const DEFAULT_ANSWER_TIMEOUT_MS = 5 * 60_000;

const OptionsSchema = v.strictObject({
	path: v.optional(v.nullable(v.string()), '/mcp'),
	info: v.optional(
		v.custom<SessionPrefetcher | SessionAdmitter>(
			(value) => hasMethod(value, 'prefetch') || hasMethod(value, 'admit'),
			'info is not a KVInfoSessionManager or DurableObjectInfoSessionManager, nor anything else with prefetch() or admit()',
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
	bodyTimeout: v.optional(TimerSchema, DEFAULT_BODY_TIMEOUT_MS),
	allowedHosts: v.optional(AllowedHostsSchema),
	sessionIds: v.optional(v.picklist(['signed', 'transport']), 'signed'),
});

/** @inline */
type OwnerOf = (request: Request) => string | undefined | Promise<string | undefined>;

/** Where `SseTransport` takes the session from. */
const SESSION_PARAMETER = 'session_id';

/** Options of {@link SessionGateway}. */
export interface SessionGatewayOptions {
	/**
	 * The `path` option of the transport (default `/mcp`; `null`: all paths). Requests to other paths go to the transport
	 * unchecked, except those with a session id that it would serve.
	 */
	path?: string | null;
	/**
	 * The {@link KVInfoSessionManager} of the transport: with it, KV is read while the object is asked, and not after. Or its
	 * {@link DurableObjectInfoSessionManager}, of the same object as the gateway: what it knows then comes with the answer of
	 * the object, and what an `initialize` tells is stored with the session's begin.
	 */
	info?: SessionPrefetcher | SessionAdmitter;
	/**
	 * Returns who makes a request, for example the subject of its token; only that owner can use the sessions that it began,
	 * and how many sessions and listen streams it has in each home is limited. Must not read the body. The owner is stored as a hash.
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
	/** How long that client may read nothing at all while something waits for it, in milliseconds (default 120,000). */
	readTimeout?: number;
	/** Told when a client was cut off because of one of these (default: nothing). */
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
	/** How long the body of a POST may take to arrive, in milliseconds (default 30,000). Then it is refused with 408. */
	bodyTimeout?: number;
	/**
	 * The hosts that a request may be for, as its `Host` header and URL name them: `example.com` or `[::1]` (any port), or
	 * `example.com:8787` (`:443` is that of https, `:80` that of http). At least one; neither URLs nor patterns. Any other is
	 * refused with 403. It keeps web pages from reaching a server on the reader's own machine or network by DNS rebinding,
	 * which `allowedOrigins` of the transport lets, because it takes each origin that is the request's own host. Default: all,
	 * because a deployed Worker is reached by its own host names only.
	 */
	allowedHosts?: readonly string[];
	/**
	 * Who makes the ids of sessions. `signed` (default): the gateway, with their home and a signature, so that an id that was
	 * made up is refused without asking anybody. `transport`: its `getSessionId`; then each unknown id costs a call, and the
	 * ids are placed by their hash.
	 */
	sessionIds?: 'signed' | 'transport';
}

/**
 * A stream begins with an event that has an id and no message, so that the client has an id to come back with. Clients of
 * this revision and later expect it with empty data. Older clients would parse the empty data, so theirs has an event name
 * that they do not know: they note the id and ignore the rest.
 */
const FIRST_PRIMED_VERSION = '2025-11-25';
const PRIMING_EVENT = 'data: \n\n';
const OTHER_PRIMING_EVENT = `event: place\n${PRIMING_EVENT}`;

/** The transport's answer to a request. */
type Serve = (request: Request) => Promise<Response | null>;

/** A request as it came, and what serves it, or another one in its place. */
interface Served {
	request: Request;
	serve: Serve;
}

interface Incoming extends Served {
	owner: string | undefined;
}

/**
 * Stands in front of an `HttpTransport` and does what it cannot do for the MCP revisions with sessions:
 *
 * - It answers 404 for a session that was never issued, has ended, has expired or is another owner's, the same for all of
 *   them, and 400 where the session id is missing. It makes the ids, and signs them: one in an `initialize` is ignored.
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
 * export default { fetch: async (request) => (await gateway.respond(request)) ?? notFound() } satisfies ExportedHandler;
 * ```
 *
 * Sessions are stored in the object, and expire after a time without requests: `sessionTtl` in its `static options`. The
 * transport's `streams` must be a {@link DurableObjectStreamSessionManager} of the same object, because that ends them.
 * Safe to construct at module scope.
 */
export class SessionGateway<Custom = undefined> {
	#transport: GatewayTransport<Custom>;
	#options: v.InferOutput<typeof OptionsSchema>;
	#homes: SessionHomes;
	/** Until when no session is begun in a home that had no room, in milliseconds since 1970: a flood costs no calls. */
	#fullUntil = new Map<string, number>();
	/** Whether the managers of the transport were asked which objects they have. */
	#hasSameObjects = false;

	/**
	 * @param transport only the gateway may call it: a session that began without the gateway is unknown to it
	 * @param binding name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), the namespace itself, or
	 * {@link SessionHomes}
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(
		transport: GatewayTransport<Custom>,
		binding?: Homes,
		options?: SessionGatewayOptions,
	) {
		this.#transport = transport;
		this.#options = parseOptions(OptionsSchema, options, 'SessionGateway');
		this.#homes = homesOf(binding);
	}

	/**
	 * Answer a request as the transport would, or refuse it.
	 * @returns `null` where the transport does not serve the path
	 * @throws what the transport and `owner` throw, and where the object cannot be asked: `BINDING_MISSING`,
	 * `BINDING_WRONG_KIND`, `OBJECT_FAILED`, and `SQLITE_MISSING` for a class that was made with `new_classes`;
	 * `INVALID_ARGUMENT` where the transport has another `path`, or another `info`
	 */
	async respond(request: Request, ctx?: Custom): Promise<Response | null> {
		const response = await this.#respondObserved(request, ctx);
		if (response) return keptAlive(response, this.#options);
		if (this.#options.path !== null && this.#isOnPath(new URL(request.url))) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				`the transport does not serve ${quote(this.#options.path)}, the path of the SessionGateway. Give both the same path.`,
			);
		}
		return null;
	}

	/** Where somebody listens, what happens is told in the trace of the request, and so is what fails. */
	async #respondObserved(request: Request, ctx: Custom | undefined): Promise<Response | null> {
		const trace = channels.isObserved() ? traceOfHeaders(request.headers) : undefined;
		try {
			return await runInTrace(trace, () => this.#respond(request, ctx));
		} catch (error) {
			publishFailure(error, here(sessionIn(request)));
			throw error;
		}
	}

	async #respond(request: Request, ctx: Custom | undefined): Promise<Response | null> {
		const served = { request, serve: (sent: Request) => this.#transport.respond(sent, ctx) };
		const session = sessionIn(request);
		const url = new URL(request.url);
		const isInUrl = url.searchParams.has(SESSION_PARAMETER);
		const names = session !== undefined || isInUrl;
		const isGuarded = this.#isOnPath(url) || (names && (await probe(served)));
		if (!isGuarded) return passUnguarded(served);
		const { allowedHosts } = this.#options;
		if (allowedHosts && !isForAllowedHost(url, request, allowedHosts)) {
			return refusal(request, 'host');
		}
		if (isInUrl) return refusal(request, 'inUrl');
		const owner = await this.#ownerOf(request);
		if (!this.#hasSameObjects) await this.#assertSameObjects(served);
		const incoming = { ...served, owner };
		if (isSessionless(request)) return this.#passUnread(incoming);
		return session === undefined
			? this.#receive(incoming, 'missing')
			: this.#goOn(session, incoming);
	}

	/**
	 * Before anything is served: a DELETE of no session, at which the managers of the transport tell which objects they have.
	 * @throws `INVALID_ARGUMENT` where they have others than this gateway
	 */
	async #assertSameObjects({ request, serve }: Served): Promise<void> {
		const ending = probeOf(request, 'DELETE');
		ending.headers.set(SESSION_HEADER, crypto.randomUUID());
		const told: SessionHomes[] = [];
		const response = await runInScope({ told }, () => serve(ending));
		await response?.body?.cancel();
		if (told.some((homes) => !homes.mayBeSame(this.#homes))) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				'a session manager of the transport and the SessionGateway have different Durable Object bindings, or jurisdictions. Give all of them the same SessionHomes.',
			);
		}
		// Whoever may not be served is not told, either.
		this.#hasSameObjects = response?.ok === true;
	}

	/** Whoever a user's function takes for nobody must not be taken for somebody, nor all of them for one. */
	async #ownerOf(request: Request): Promise<string | undefined> {
		const owner: unknown = await this.#options.owner(request);
		if (owner === undefined || (typeof owner === 'string' && owner !== '')) return owner;
		const what = owner === '' ? 'an empty string' : quote(owner);
		throw new SessionManagerError(
			'INVALID_ARGUMENT',
			`the owner of a request is a string that is not empty, or undefined for nobody, not ${what}.`,
		);
	}

	/** Answer a request without a session. Of these only a listen stays open, and is counted for its owner. */
	async #pass(message: Request, { request, owner, serve }: Incoming): Promise<Response | null> {
		if (!isListen(request)) return serve(message);
		const account = await this.#accountOf(owner);
		return runInScope({ account, cf: request.cf }, () => serve(message));
	}

	/** The same for one whose body was not read yet. */
	async #passUnread(incoming: Incoming): Promise<Response | null> {
		const { request, serve } = incoming;
		if (!hasMessage(request)) return serve(request);
		const body = await readMessage(request, this.#options);
		if (typeof body === 'string') return this.#receive(incoming, 'missing', body);
		return inTraceOf(body, () => this.#pass(body.request, incoming));
	}

	#isOnPath({ pathname }: URL): boolean {
		const { path } = this.#options;
		return path === null || pathname === path;
	}

	async #goOn(session: string, incoming: Incoming): Promise<Response | null> {
		if (!(await this.#mayBeOurs(session))) return this.#receive(incoming, 'unknown');
		const { request, owner, serve } = incoming;
		const ownerHash = await this.#hashOfOwner(session, owner);
		const scope = this.#scopeOf(request, ownerHash);
		if (request.method === 'DELETE' && !isRefusal(await probe(incoming))) {
			const ended = await this.#end(session, ownerHash);
			if (!ended) return this.#receive(incoming, 'unknown');
			return runInScope({ ...scope, ended }, () => serve(request));
		}
		const body = hasMessage(request) ? await readMessage(request, this.#options) : undefined;
		if (typeof body === 'string') return this.#receive(incoming, 'unknown', body);
		const willChange = body?.kind === 'session' && changesSession(body.message);
		const isAdmitted = await runInScope(scope, () =>
			request.method === 'GET'
				? this.#admitToStream(session, ownerHash, scope)
				: this.#admit(session, ownerHash, request, willChange),
		);
		if (!isAdmitted) return this.#receive(incoming, 'unknown', body);
		return runInScope(scope, () =>
			body ? this.#takeMessage(session, ownerHash, body, serve, scope) : serve(request),
		);
	}

	#scopeOf({ headers, method }: Request, ownerHash: string): RequestScope {
		const isGet = method === 'GET';
		const lastEventId = (isGet && headers.get('last-event-id')) || undefined;
		const version = headers.get('mcp-protocol-version') ?? '';
		return {
			homes: this.#homes,
			ownerHash,
			lastEventId: lastEventId && boundEventId(lastEventId),
			takesOver: isGet && this.#options.takeover,
			primingEvent: version >= FIRST_PRIMED_VERSION ? PRIMING_EVENT : OTHER_PRIMING_EVENT,
		};
	}

	/** An id that was made up costs nobody anything: no call, no row, no KV. */
	#mayBeOurs(session: string): boolean | Promise<boolean> {
		return this.#options.sessionIds === 'signed'
			? this.#homes.isMinted(session)
			: isSessionId(session);
	}

	/**
	 * Admit a session, and end it: in one call, with the listen streams that have it as their origin.
	 * @returns `undefined` where it is not admitted; also where the object was lost right after it had ended the session, and
	 * another one was asked: then there is no such session any more, either
	 */
	async #end(session: string, owner: string): Promise<Ended | undefined> {
		const home = await this.#homes.of(session);
		const options = { id: crypto.randomUUID() };
		const { ended, homes }: Relayed = await callObject(home, (stub) =>
			stub.relay({
				end: { session, owner, options },
				unsubscribe: { target: { origin: session }, reason: 'cancelled', options },
			}),
		);
		if (!ended) return undefined;
		return { session, home: home.label, homes, info: this.#options.info };
	}

	async #admit(
		session: string,
		ownerHash: string,
		{ method }: Request,
		willChange: boolean,
	): Promise<boolean> {
		const { info } = this.#options;
		// Only on a POST does the transport read the session's info.
		if (info && method === 'POST') {
			if ('admit' in info) return info.admit(session, ownerHash, willChange);
			info.prefetch(session);
		}
		return callObject(this.#homes.of(session), (stub) => stub.admit(session, ownerHash));
	}

	/** Admit a GET, whose stream is then opened with the key of its home. */
	#admitToStream(session: string, owner: string, scope: RequestScope): Promise<boolean> {
		return callObject(this.#homes.of(session), async (stub, home) => {
			if (home.upgradeKey !== undefined) {
				scope.upgradeKey = home.upgradeKey;
				return stub.admit(session, owner);
			}
			const admitted: Answered | undefined = await stub.admitWithInfo(session, owner, 'stream');
			scope.upgradeKey = home.upgradeKey ??= admitted?.upgradeKey;
			return admitted !== undefined;
		});
	}

	/** Answer a POST of a session. */
	async #takeMessage(
		session: string,
		ownerHash: string,
		body: MessageBody,
		serve: Serve,
		scope: RequestScope,
	): Promise<Response | null> {
		if (body.kind === 'answer') return this.#takeAnswer(session, ownerHash, body, serve);
		return inTraceOf(body, async () => {
			const response = await serve(body.request);
			if (!response || body.kind === 'sessionless') return response;
			return askingResponse(response, {
				home: () => this.#homes.of(session),
				session,
				owner: ownerHash,
				timeout: this.#options.answerTimeout,
				requestId: Reflect.get(Object(body.message), 'id'),
				respond: (answer) => runInScope(scope, () => serve(withMessage(body.request, answer))),
				onEnd: () => void (scope.onAnswered && hold(scope.onAnswered())),
			});
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
		serve: Serve,
	): Promise<Response | null> {
		const response = await serve(withMessage(request, standInFor(message)));
		const answer = readAnswer(message);
		if (response?.status !== 202 || !answer || !parseWireId(answer.id)) return response;
		const text = JSON.stringify(answer);
		if (byteLength(text) > MAX_ANSWER_BYTES) {
			return refusal(request, 'tooLarge', response.headers, { maxBytes: MAX_ANSWER_BYTES });
		}
		const outcome = await callObject(this.#homes.of(session), (stub) =>
			stub.answer(session, ownerHash, answer.id, text),
		);
		return outcome === 'lost' ? refusal(request, 'lost', response.headers) : response;
	}

	/**
	 * Answer a request without a valid session, or with a body that is refused. The transport is probed first: it may refuse
	 * the request for its path, origin or token, and a refusal of ours needs the transport's CORS headers to be readable by a
	 * page.
	 * @param read its body, or what is wrong with it, where that was read before
	 */
	async #receive(
		incoming: Incoming,
		why: 'missing' | 'unknown',
		read?: MessageBody | BodyFlaw,
	): Promise<Response | null> {
		const { request } = incoming;
		const answer = await probe(incoming);
		if (isRefusal(answer)) return answer;
		if (!hasMessage(request)) return refusal(request, why, answer.headers);
		const body = read ?? (await readMessage(request, this.#options));
		if (typeof body === 'string') {
			return refusal(request, body, answer.headers, this.#limitOf(body));
		}
		return inTraceOf(body, async () => {
			if (body.kind === 'sessionless') return this.#pass(body.request, incoming);
			if (body.kind === 'initialize') return this.#begin(body.request, incoming, answer.headers);
			return refusal(request, why, answer.headers);
		});
	}

	/** What a refusal tells of the limit that a message is over. */
	#limitOf(flaw: BodyFlaw): object | undefined {
		if (flaw === 'tooSlow') return { maxMs: this.#options.bodyTimeout };
		if (flaw === 'tooLarge') return { maxBytes: this.#options.maxBodyBytes };
		return flaw === 'clientTooLarge' ? { maxBytes: MAX_SESSION_INFO_BYTES } : undefined;
	}

	async #begin(
		message: Request,
		{ request, owner, serve }: Incoming,
		headers: Headers,
	): Promise<Response | null> {
		const isFull = (home: string) => Date.now() < (this.#fullUntil.get(home) ?? 0);
		const chosen = this.#homes.choose(request.cf, isFull);
		if (chosen === undefined) return refusal(request, 'TOO_MANY_SESSIONS', headers);
		const isSigned = this.#options.sessionIds === 'signed';
		const minted = isSigned ? await this.#homes.mint(chosen) : undefined;
		const beginning = new Beginning();
		let hasBegun = false;
		try {
			const { response, text } = await runInScope({ beginning }, async () => {
				const answered = await serve(withSession(message, minted));
				// Once all of it is there, all that it tells of the client was told.
				return { response: answered, text: await answered?.text().catch(() => undefined) };
			});
			if (!response) return null;
			// Where tmcp cannot read the message, it breaks off.
			if (text === undefined) return refusal(request, 'unreadable', headers);
			const session = response.ok ? response.headers.get(SESSION_HEADER) : null;
			if (session === null || !hasResult(text)) return withoutSession(response, text);
			const { info } = this.#options;
			if (info && !beginning.wasHeardBy(info)) {
				throw new SessionManagerError(
					'INVALID_ARGUMENT',
					'the transport has another sessionManager.info than the SessionGateway. Give both the same one.',
				);
			}
			if (minted !== undefined && session !== minted) {
				throw new SessionManagerError(
					'INVALID_ARGUMENT',
					"the transport did not take the session id that the gateway gave to an initialize. Give the gateway sessionIds: 'transport' where another than tmcp's HttpTransport makes its own.",
				);
			}
			const why = await this.#store(session, owner, beginning);
			if (why) return refusal(request, why, headers);
			hasBegun = true;
			return new Response(text, response);
		} finally {
			beginning.done(hasBegun);
		}
	}

	/** @returns why its home does not take the session, if it does not */
	async #store(session: string, owner: string | undefined, beginning: Beginning) {
		const ownerHash = await this.#hashOfOwner(session, owner);
		const account = await this.#accountOf(owner);
		const options = { account, info: beginning.take(session) };
		try {
			await callObject(this.#homes.toBegin(session), (stub) =>
				stub.begin(session, ownerHash, options),
			);
			return undefined;
		} catch (error) {
			const { code } = SessionManagerError.from(error) ?? {};
			if (code === 'OWNER_LIMIT_REACHED') return code;
			if (code !== 'TOO_MANY_SESSIONS') throw error;
			const { label } = await this.#homes.of(session);
			this.#fullUntil.set(label, Date.now() + RETRY_AFTER_S * 1000);
			return code;
		}
	}

	/** The path keeps servers apart; the session id keeps two sessions of one owner from having the same hash. */
	#hashOfOwner(session: string, owner: string | undefined): Promise<string> {
		return hash(JSON.stringify([this.#options.path, session, owner ?? null]));
	}

	/** What is counted together. Nobody is no owner: those who are not named share no limit. */
	async #accountOf(owner: string | undefined): Promise<string | undefined> {
		return owner === undefined ? undefined : accountOf(this.#options.path, owner);
	}
}

/** Whether the transport answers like this whatever a request says: it does not serve the URL, or not this client. */
function isRefusal(answer: Response | null): answer is null | (Response & { status: 401 | 403 }) {
	return answer === null || answer.status === 401 || answer.status === 403;
}

/** What is not on the path is the transport's, but it must not begin a session, which the gateway would not know. */
async function passUnguarded(served: Served): Promise<Response | null> {
	const { request, serve } = served;
	// Before the message is served: a tool may run for it, and what it tells of a client would be stored.
	if (hasMessage(request)) assertServesNoSessions(await probe(served), request);
	const response = await runInScope({ isUnguarded: true }, () => serve(request));
	if (response?.headers.has(SESSION_HEADER)) await response.body?.cancel();
	assertServesNoSessions(response, request);
	return response;
}

/**
 * @param answer what the transport says to a request that is not for the path of the gateway
 * @throws `INVALID_ARGUMENT` where it names a session
 */
function assertServesNoSessions(answer: Response | null, { url }: Request): void {
	if (!answer?.headers.has(SESSION_HEADER)) return;
	throw new SessionManagerError(
		'INVALID_ARGUMENT',
		`the transport serves sessions at ${quote(new URL(url).pathname)}, which is not the path of the SessionGateway. Give both the same path.`,
	);
}

/** Run what answers a message, in the trace that the message names. */
function inTraceOf<T>({ message }: MessageBody, work: () => T): T {
	return runInTrace(channels.isObserved() ? traceOfMessage(message) : undefined, work);
}

/** The transport's answer to a request without content; `null` where it does not serve the URL. */
function probe({ request, serve }: Served): Promise<Response | null> {
	return serve(probeOf(request, 'POST'));
}

/** A request without content, of a revision with sessions, whatever came with it. */
function probeOf({ url, headers }: Request, method: string): Request {
	const empty = new Request(url, { method, headers });
	for (const name of ['content-type', 'mcp-protocol-version']) empty.headers.delete(name);
	return empty;
}

/** An `initialize` that was refused has begun no session. */
function withoutSession(response: Response, text: string): Response {
	const refused = new Response(text || null, response);
	refused.headers.delete(SESSION_HEADER);
	return refused;
}

/**
 * The transport accepts any session id that an `initialize` brings: the client's own could be another's, or easy to guess.
 * @param session the id that it is to have; `undefined` where the transport makes one
 */
function withSession(request: Request, session: string | undefined): Request {
	const headers = new Headers(request.headers);
	if (session === undefined) headers.delete(SESSION_HEADER);
	else headers.set(SESSION_HEADER, session);
	return new Request(request, { headers });
}
