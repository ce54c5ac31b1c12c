import { DurableObject } from 'cloudflare:workers';
import * as channels from '../diagnostics/channels.ts';
import type { StreamKind } from '../diagnostics/events.ts';
import { publishFailure } from '../diagnostics/failure.ts';
import type { TraceContext } from '../diagnostics/trace.ts';
import { SessionManagerError, type SessionManagerErrorCode } from '../errors.ts';
import type {
	Admitted,
	AnswerOutcome,
	Attached,
	BroadcastResult,
	LogPosition,
	Relayed,
	SessionSummary,
	Subscribed,
	SyncLayerStats,
} from '../wire/answers.ts';
import {
	type AskOptions,
	type AttachOptions,
	type BeginOptions,
	type BroadcastInput,
	type BroadcastOptions,
	type DetachOptions,
	type ListOptions,
	type InfoChange,
	type InspectOptions,
	type Notification,
	type ParsedRelay,
	parseAnswer,
	parseAskOptions,
	parseAttachOptions,
	parseBatch,
	parseBeginOptions,
	parseBroadcast,
	parseClaim,
	parseDetachOptions,
	parseHomeLabel,
	parseHomeLabels,
	parseInfoChanges,
	parseInspectOptions,
	parseListOptions,
	parseOwner,
	parsePublish,
	parseQuestions,
	parseRelay,
	parseResource,
	parseSessionId,
	parseSubscribeOptions,
	parseSubscription,
	parseUnsubscribe,
	type QuestionInput,
	type RelayInput,
	type SendOptions,
	type SubscribeOptions,
	type SubscriptionEnd,
	type SubscriptionInput,
	type SubscriptionTarget,
} from '../wire/arguments.ts';
import { CloseCode } from '../wire/close-codes.ts';
import { encodeFrame } from '../wire/frames.ts';
import type { Inspected } from '../wire/inspection.ts';
import { STREAM_TAG } from '../wire/names.ts';
import { LOG_HEADER, TICKET_TTL_MS } from '../wire/upgrade.ts';
import { parseWireId } from '../wire/wire-id.ts';
import { Alarm, LATENESS, type OwnAlarm } from './alarm.ts';
import { type Asker, Questions } from './answers/questions.ts';
import { openDatabase } from './database.ts';
import { type Claim, END_MEMORY_MS, type RefusalReason, Tickets } from './door/tickets.ts';
import { codeOfRefusal, errorResponse, readUpgrade, refusal } from './door/upgrade.ts';
import { here, inTrace } from './here.ts';
import { Homes } from './homes.ts';
import { type Inspectable, inspectionOf, summariesOf } from './inspection.ts';
import { keyFor } from './keys.ts';
import { EventLog } from './log/event-log.ts';
import type { ReplayStart } from './log/replay.ts';
import { SentIds } from './log/sent-ids.ts';
import { parseSyncLayerOptions, type SyncLayerOptions } from './options.ts';
import { Recent } from './recent.ts';
import { markRetryable } from './retryable.ts';
import { AdmittedSession } from './sessions/admitted-session.ts';
import { Owners } from './sessions/owners.ts';
import { changed, withInfo } from './sessions/session-info.ts';
import * as SessionRows from './sessions/session-row.ts';
import { Sessions } from './sessions/sessions.ts';
import { type Broadcast, type StreamRequest, Streams } from './sessions/streams.ts';
import { readAttachment } from './sockets/attachment.ts';
import { deliver } from './sockets/sockets.ts';
import { SUBSCRIPTION_TAG } from './subscriptions/subscription-tags.ts';
import { type SubscriptionRequest, Subscriptions } from './subscriptions/subscriptions.ts';
import { Vacancy } from './vacancy.ts';

type StreamClaim = Claim &
	StreamRequest & { kind: 'stream'; resume: boolean; owner: string | undefined };
type SubscriptionClaim = Claim & SubscriptionRequest & { kind: 'subscription' };
type AskerClaim = Claim & Asker & { kind: 'asker' };
type AnyClaim = StreamClaim | SubscriptionClaim | AskerClaim;

/**
 * The Durable Object that holds the streams of all sessions, so that any Worker can reach any client.
 *
 * Its methods are called by Workers RPC on a stub. The streams are hibernating WebSockets that are found by tag: an object
 * that wakes has nothing to rebuild, and the cost of a call grows with the sockets that it addresses, not with those that
 * are open. One object holds at most 32,768 of them (https://developers.cloudflare.com/durable-objects/api/state/#acceptwebsocket).
 *
 * ```ts
 * const object = env.TMCP_DURABLE_OBJECT.getByName(SYNC_LAYER_NAME);
 * const { delivered } = await object.broadcast([sessionId], 'event: message\ndata: {}\n\n');
 * ```
 *
 * A subclass may have sockets, tags and alarms of its own. Its tags must have a space in them and not begin with `kind `,
 * `origin `, `owner `, `filter `, `updated ` or `notifications/`; its alarm is {@link ownAlarm}; where it overrides `fetch`,
 * `webSocketMessage`, `webSocketClose` or `webSocketError`, it must call `super` for requests
 * and sockets that are not its own.
 */
export class SyncLayer<Env = Cloudflare.Env> extends DurableObject<Env> {
	/** Settings, for a subclass to override. */
	static readonly options: SyncLayerOptions = {};

	static {
		const { begin, admit, admitWithInfo, infoOf, inform, subscribersOf } = this.prototype;
		const {
			attach,
			has,
			ask,
			stats,
			inspect,
			homes,
			registerHome,
			signingKey: key,
		} = this.prototype;
		void markRetryable(begin, admit, admitWithInfo, infoOf, inform, subscribersOf);
		void markRetryable(attach, has, ask, stats, inspect, homes, registerHome, key);
	}

	#options = parseSyncLayerOptions(Reflect.get(this.constructor, 'options'));
	#alarm = new Alarm(this.ctx);
	#sql = openDatabase(this.ctx.storage);
	#sessions = new Sessions(this.#sql);
	#log = this.#openLog();
	#owners = this.#sql && new Owners(this.#sql, (sessions) => this.#alive(sessions));
	#sent = new SentIds(() => this.#log?.recentIds(Date.now()) ?? []);
	#tickets = new Tickets<AnyClaim>();
	#streams = new Streams(
		this.ctx,
		this.#log,
		this.#sessions,
		this.#sent,
		this.#options.lifetimes,
		this.#alarm,
	);
	#subscriptions = new Subscriptions(this.ctx, this.#sql, this.#log, this.#sent, this.#alarm);
	#questions = this.#sql && new Questions(this.ctx, this.#sql, this.#alarm);
	#vacancy = this.#sql && new Vacancy(this.ctx, this.#sql);
	/** As it is stored; `undefined` until somebody needs it. */
	#key: string | undefined;
	#homes = new Homes(this.#sql && this.ctx.storage.kv);
	/** What `publish`, `unsubscribe` and `relay` answered to a call, for its retry. */
	#answered = new Recent<number>(END_MEMORY_MS);

	/**
	 * The alarm of a subclass: an object has only one, which it shares with this class. When the time comes, {@link onAlarm}
	 * is called. Do not use `ctx.storage.setAlarm`.
	 */
	protected readonly ownAlarm: OwnAlarm = this.#alarm.own;

	/**
	 * For a subclass to override: the time that it gave to {@link ownAlarm} has come. Where it throws, that is logged, and it is
	 * called again a minute later, unless it has set another time.
	 */
	protected onAlarm(): void | Promise<void> {}

	/**
	 * Issue a session: {@link admit} knows it from now on, and broadcasts to all wait for it. Doing it again changes
	 * nothing. Where it is not admitted within `unusedSessionTtl`, it expires.
	 *
	 * It costs a row written, and one read and one more written where there is an `account`; and a row more for every 64th.
	 *
	 * @param owner whose it is: a SHA-256 in base64url
	 * @param options `account`: a SHA-256 in base64url that all sessions of one owner have in common, so that they are counted;
	 * `info`: client info, stored in the same row, as {@link inform} would store it
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT` (also where the id was issued to another owner), `TOO_MANY_SESSIONS`,
	 * `OWNER_LIMIT_REACHED`, `SQLITE_MISSING`, `PAYLOAD_TOO_LARGE`
	 */
	begin(sessionId: string, owner: string, options?: BeginOptions): void {
		const session = parseSessionId(sessionId);
		const { account, info } = parseBeginOptions(options);
		const of = { sessionId: session, owner: parseOwner(owner), head: this.#head };
		this.#assertSqlite();
		const before = this.#liveRow(session);
		const now = Date.now();
		const { lifetimes } = this.#options;
		// An open stream keeps a session alive, however long ago its row was renewed.
		const live = before && SessionRows.renew(before, lifetimes, now);
		const begun = SessionRows.begin(live, of, lifetimes, now);
		const row = info ? { ...begun, info: withInfo(begun.info, info) } : begun;
		if (!isOwner(row.owner, of.owner)) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				'the session id was issued before, to another owner. getSessionId must make a new one each time, for example crypto.randomUUID().',
			);
		}
		// A retry, which was counted.
		if (before?.owner !== undefined) {
			if (row.info !== before.info) this.#streams.save({ ...before, info: row.info });
			return;
		}
		const ofOwner = this.#assertRoomForSession(session, account);
		this.ctx.storage.transactionSync(() => {
			if (account !== undefined) {
				this.#owners?.put(account, ofOwner, now + lifetimes.sessionTtlMs);
			}
			this.#streams.save(row);
		});
	}

	/**
	 * Whether a session was issued to this owner, and has neither ended nor expired. The call is a sign of life, which is
	 * written once in a tenth of `sessionTtl`. The first one waits up to half a second, to be written in one row with the
	 * stream that follows; if the object is lost meanwhile, the session has the rest of its `unusedSessionTtl`, in which any
	 * other request is the first one again.
	 *
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `SQLITE_MISSING`
	 */
	admit(sessionId: string, owner: string): boolean {
		const session = parseSessionId(sessionId);
		const who = parseOwner(owner);
		this.#assertSqlite();
		const row = this.#ownRow(session, who);
		if (row) this.#streams.renew(row);
		return row !== undefined;
	}

	/**
	 * {@link admit}, and {@link infoOf} where the session is admitted: in one call, and at the same cost.
	 * @param next what the caller will do. Before a `change` it gets a stub as well, with {@link inform} of this session: what
	 * is called on it is not billed as another request
	 * (https://developers.cloudflare.com/durable-objects/platform/pricing/, footnote 1), and the object stays awake until it is
	 * disposed. Before it opens the `stream`, it gets the object's key, as {@link attach} answers it
	 */
	admitWithInfo(
		sessionId: string,
		owner: string,
		next?: 'change' | 'stream',
	): Admitted | undefined {
		if (!this.admit(sessionId, owner)) return undefined;
		const { info } = this.#sessions.get(sessionId) ?? {};
		if (next === 'stream') return { info, upgradeKey: this.#upgradeKey };
		if (next !== 'change') return { info };
		return { info, session: new AdmittedSession((changes) => this.inform(sessionId, changes)) };
	}

	/**
	 * What is known of a session's client: `{ clientInfo?, clientCapabilities?, logLevel? }` as JSON, or `undefined` where
	 * nothing was ever told. The call is a sign of life, as {@link admit} is.
	 * @throws `INVALID_SESSION_ID`, `SQLITE_MISSING`
	 */
	infoOf(sessionId: string): string | undefined {
		const session = parseSessionId(sessionId);
		this.#assertSqlite();
		const row = this.#liveRow(session);
		if (row) this.#streams.save(SessionRows.renew(row, this.#options.lifetimes, Date.now()));
		return row?.info;
	}

	/**
	 * Change a session's client info and its resource subscriptions. An unknown session begins; for one that has ended,
	 * nothing happens. Either all changes are made or none. Calling it again with the same changes changes nothing.
	 *
	 * A row written, however many changes there are.
	 *
	 * @param changes up to 10,000, one after another: `{ set: { clientInfo, clientCapabilities, logLevel } }` (`null` forgets
	 * one; all that is known is at most 32 KiB of JSON), `{ subscribe }` and `{ unsubscribe }`, each with the SHA-256 of a
	 * URI in base64url, and `{ forget: true }`, which leaves nothing
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`, `TOO_MANY_RESOURCES`, `SQLITE_MISSING`
	 */
	inform(sessionId: string, changes: readonly InfoChange[]): void {
		const session = parseSessionId(sessionId);
		const parsed = parseInfoChanges(changes);
		this.#assertSqlite();
		const stored = this.#sessions.get(session);
		if (stored?.state === 'ended' && stored.expiresAt > Date.now()) return;
		const live = this.#isAlive(stored) ? stored : undefined;
		const of = { sessionId: session, owner: undefined, head: this.#head };
		const row = live ?? SessionRows.begin(undefined, of, this.#options.lifetimes, Date.now());
		const after = changed(row, parsed, this.#options.limits.maxResourcesPerSession);
		if (!live && after.info === undefined) return;
		const isSame = after.info === row.info && after.resources === row.resources;
		this.#streams.save(live && isSame ? live : { ...row, ...after });
	}

	/**
	 * The sessions that are subscribed to a resource. The first call after a wake reads the row of each session that the
	 * object knows, the next ones none; with over 100,000 subscriptions each call reads all.
	 * @param resource the SHA-256 of its URI in base64url
	 * @throws `INVALID_ARGUMENT`, `SQLITE_MISSING`
	 */
	subscribersOf(resource: string): string[] {
		const of = parseResource(resource);
		this.#assertSqlite();
		return this.#sessions.subscribers?.to(of, Date.now()) ?? [];
	}

	/**
	 * Claim the one stream that a session has. The newest claim wins: redeeming its ticket closes an older stream with close
	 * code 4001, and an older ticket that is still open is refused from now on. Calling it again with the same `ticket` and
	 * `connectionId` changes nothing.
	 *
	 * @param sessionId 1 to 256 visible ASCII characters (0x21–0x7E); a UUID is made where none is given
	 * @param options `ticket`, `connectionId`: UUIDs that the caller made, so that the upgrade can leave together with
	 * this call, and the stream can be detached before the answer is here; `lastEventId`: the last event that the client
	 * has, as it stands on its `id` line; `resume`: only if `connectionId` served the session last; `owner`: only if
	 * {@link admit} would say so; required for a session that was begun with an owner; `window`: how many bytes of a replay
	 * are sent on one socket, each event counting 1 KiB more than its size; the socket is then closed with code 4008 (default:
	 * no limit); `withKey`: answer the object's `upgradeKey` as well
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `STREAM_SUPERSEDED` (with `resume`),
	 * `STREAM_DETACHED` (of a `connectionId` that was detached before, or of a session that is not this `owner`'s),
	 * `SQLITE_MISSING` (with `owner`)
	 */
	attach(sessionId?: string, options?: AttachOptions): Attached {
		const session = sessionId === undefined ? crypto.randomUUID() : parseSessionId(sessionId);
		const { ticket = crypto.randomUUID(), withKey, ...request } = parseAttachOptions(options);
		const claim = claimOf(session, request);
		this.#tickets.assertUnused(ticket, claim);
		this.#assertOwned(claim);
		this.#assertMayOpen(claim);
		const supersedes = this.#streams.has(session);
		const log = this.#positionOf(this.#streams.startOf(claim));
		this.#tickets.issue(ticket, claim);
		return {
			sessionId: session,
			connectionId: claim.connectionId,
			ticket,
			ticketTtlMs: TICKET_TTL_MS,
			supersedes,
			log,
			...(withKey && { upgradeKey: this.#upgradeKey }),
		};
	}

	/**
	 * Close a session's stream, open or just being opened. The session goes on: messages to it wait for its next stream.
	 *
	 * @param options `connectionId`: close that stream only, and leave a newer one alone; `position`, with it: the last event
	 * that its client took (default: the last that was handed over)
	 * @returns whether there was one
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`
	 */
	detach(sessionId: string, options?: DetachOptions): boolean {
		const session = parseSessionId(sessionId);
		const { connectionId, position } = parseDetachOptions(options);
		if (connectionId !== undefined) {
			this.#tickets.noteEnd(connectionId, 'detached');
			const isDetached = this.#closeStreams(session, connectionId);
			this.#streams.connectionGone(session, connectionId, position, false);
			return isDetached;
		}
		const row = this.#sessions.get(session);
		const { lifetimes } = this.#options;
		// Also where it has no stream: between two sockets, its connection may come back.
		const detached = this.#log
			? // Before the stream is closed: one that was lost with the object was not handed what was sent since.
				row && SessionRows.detach(row, this.#streams.positionOf(row))
			: SessionRows.detachUnlogged(row, session, lifetimes, Date.now());
		const isDetached = this.#closeStreams(session);
		this.#streams.save(detached);
		return isDetached;
	}

	/**
	 * End a session: close its stream, give up what its server has asked its client, and leave nothing of it but that it has
	 * ended, which late calls of other Workers have to be told. What is still sent to it is missed, and a new session of the
	 * same id hears nothing of it.
	 *
	 * @returns whether it had a stream, open or just being opened
	 * @throws `INVALID_SESSION_ID`
	 */
	end(sessionId: string): boolean {
		const session = parseSessionId(sessionId);
		const hadStream = this.#closeStreams(session);
		this.#questions?.end(session);
		// With a log, a session that has no row was never heard of.
		const row = this.#sessions.get(session);
		if (!this.#log || row) {
			const of = { sessionId: session, head: this.#head };
			this.#streams.save(SessionRows.end(row, of, this.#options.lifetimes, Date.now()));
			this.#owners?.ended();
		}
		return hadStream;
	}

	/**
	 * Whether the session has an open stream.
	 * @throws `INVALID_SESSION_ID`
	 */
	has(sessionId: string): boolean {
		return this.#streams.has(parseSessionId(sessionId));
	}

	/**
	 * Send a payload to the named sessions, or to every session. For those that have no stream it waits, as long as the log
	 * keeps it. A dead socket costs no other session its message; nothing is sent where an argument is refused.
	 *
	 * @param sessions at most 100,000 session ids (one that is named twice gets the payload once); `undefined` for all
	 * @param data the text to put on the streams; tmcp's transports give whole SSE events. At most 32 MiB less
	 * 4 KiB, with the ids (the platform's limit of one RPC call and of one WebSocket message); a payload over 2 MB is sent
	 * but not kept in the log
	 * @param options `id`: a UUID. What is repeated with the same id within a minute is sent once, even if the object was
	 * restarted in between (with `log: false` only as long as the object lives); `resource`: the SHA-256 of a URI in
	 * base64url, to send to the sessions that are subscribed to it by {@link inform}, where `sessions` is empty
	 * @throws `INVALID_ARGUMENT`, `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
	 */
	broadcast(
		sessions: readonly string[] | undefined,
		data: string,
		options?: BroadcastOptions,
	): BroadcastResult {
		return this.#broadcast([parseBroadcast(sessions, data, options)])[0] ?? NOTHING_SENT;
	}

	/**
	 * {@link broadcast} several payloads in their order. Nothing is sent where one is refused; where one cannot be stored,
	 * those before it were sent, and a retry with the same ids sends the rest.
	 *
	 * @param batch at most 10,000, together at most 32 MiB less 4 KiB, which name at most 100,000 sessions together: a session
	 * counts as often as it is named (`PAYLOAD_TOO_LARGE`)
	 * @param trace the trace context that its events get. It is ignored where it is not valid, and where nobody listens
	 * @throws `INVALID_ARGUMENT`, `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
	 */
	broadcastBatch(batch: readonly BroadcastInput[], trace?: TraceContext): BroadcastResult[] {
		return inTrace(trace, () => this.#broadcast(parseBatch(batch)));
	}

	/**
	 * Register requests that a server is about to send to the client of a session, so that {@link answer} takes an answer to
	 * each of them, once, from this session and this owner. The ids that go to the client are made of `connectionId` and the
	 * question's id. Calling it again with the same ids changes nothing.
	 *
	 * Costs a row written for each question, one when it is answered and one when its connection is done with it.
	 *
	 * @param owner whose session it is, as for {@link admit}
	 * @param questions 1 to 100: `id`, a UUID that the caller made; `timeout`, how long it waits for an answer, in
	 * milliseconds, at most a day
	 * @param options `connectionId`: a UUID, the same for each socket that this asker has, one after another; `ticket`: a UUID,
	 * where it is to open a socket. On that come the answers: a frame without position for each, the text of a JSON-RPC
	 * response. Close it with code 4009 when nothing is waited for any more: that removes all that was asked on the
	 * connection. After any other end the connection may come back, with what it still waits for, and is handed what was
	 * answered meanwhile
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `TOO_MANY_QUESTIONS` (at most 100 wait in a session, and 8,192 calls in an object),
	 * `STREAM_DETACHED` (the session has ended, or is not this owner's), `SQLITE_MISSING`
	 */
	ask(
		sessionId: string,
		owner: string,
		questions: readonly QuestionInput[],
		options: AskOptions,
	): void {
		const session = parseSessionId(sessionId);
		const who = parseOwner(owner);
		const asked = parseQuestions(questions);
		const { connectionId, ticket } = parseAskOptions(options);
		const slot = `asker ${connectionId}`;
		const claim: AskerClaim = { kind: 'asker', slot, sessionId: session, connectionId };
		if (ticket !== undefined) this.#tickets.assertUnused(ticket, claim);
		if (!this.admit(session, who)) throw this.#othersSession(session);
		if (ticket !== undefined) this.#questions?.assertRoomForAsker();
		this.#questions?.add(claim, who, asked, Date.now());
		if (ticket !== undefined) this.#tickets.issue(ticket, claim);
	}

	/**
	 * Deliver a client's answer to the Worker that asked. The first answer wins. An answer is ignored unless a request of this
	 * session and this owner waits for it. A Worker that has lost its socket is waited for, up to 10 seconds.
	 *
	 * @param owner who answers, as for {@link admit}
	 * @param id the `id` of the answer, as the client sent it
	 * @param answer the text of the answer, a JSON-RPC response: at most 1,900,000 bytes
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`, `SQLITE_MISSING`
	 */
	async answer(
		sessionId: string,
		owner: string,
		id: string | number,
		answer: string,
	): Promise<AnswerOutcome> {
		const session = parseSessionId(sessionId);
		const who = parseOwner(owner);
		const text = parseAnswer(answer);
		this.#assertSqlite();
		const wireId = parseWireId(id);
		if (!wireId) return 'ignored';
		const asker = this.#questions?.ownerOf(session, wireId, Date.now());
		const outcome =
			this.#questions && isOwner(asker, who)
				? await this.#questions.answer(session, wireId, text)
				: 'ignored';
		if (channels.answered.hasSubscribers) {
			channels.answered.publish({ ...here(this.ctx), session, outcome });
		}
		return outcome;
	}

	/**
	 * Register a `subscriptions/listen` stream (MCP 2026-07-28). Once its ticket is redeemed, the socket gets each
	 * notification that matches, as JSON and in the order of {@link publish}. Calling it again with the same `ticket` and
	 * `connectionId` changes nothing.
	 *
	 * @param subscription request id, origin (which may have one subscription of each id; a string and a number are
	 * different ids) and what it wants to hear of; at most 1 MiB
	 * @param options `ticket`, `connectionId`: UUIDs that the caller made. With the same `connectionId` as before, a
	 * subscription comes back after its object was restarted, and takes its own old place; `lastEventId`: the last event
	 * that it has; `resume`: it comes back: `began` as the first call answered it, so that it is told of an end meanwhile;
	 * `account`: a SHA-256 in base64url that all subscriptions of one owner have in common, so that they are counted
	 * @throws `INVALID_ARGUMENT`, `TOO_MANY_SUBSCRIPTIONS`, `OWNER_LIMIT_REACHED`
	 */
	subscribe(subscription: SubscriptionInput, options?: SubscribeOptions): Subscribed {
		const parsed = parseSubscription(subscription);
		this.#assertFewResources(parsed);
		const { lastEventId, resume, account, ...given } = parseSubscribeOptions(options);
		const ticket = given.ticket ?? crypto.randomUUID();
		const connectionId = given.connectionId ?? crypto.randomUUID();
		const claim: SubscriptionClaim = {
			kind: 'subscription',
			slot: `subscription ${JSON.stringify([parsed.origin, parsed.id])}`,
			connectionId,
			lastEventId,
			subscription: parsed,
			account,
		};
		this.#tickets.assertUnused(ticket, claim);
		const reason =
			asEnd(this.#tickets.endOf(connectionId)) ??
			(resume === undefined
				? undefined
				: this.#subscriptions.ends.endedSince(parsed, account, resume));
		if (reason) return { kind: 'ended', reason };
		const others = [
			this.#tickets.claimOf(claim.slot),
			...this.#subscriptions.find(parsed).map(({ attachment }) => attachment),
		].filter((known) => known !== undefined);
		if (others.some((known) => known.connectionId !== connectionId)) return { kind: 'duplicate' };
		if (others.length === 0) this.#assertRoomForSubscription(account);
		this.#tickets.issue(ticket, claim);
		const began = resume ?? this.#subscriptions.ends.beginning(Date.now());
		return { kind: 'subscribed', ticket, ticketTtlMs: TICKET_TTL_MS, began };
	}

	/**
	 * Send notifications to the subscriptions that asked for them, each once and in order.
	 *
	 * @param notifications at most 10,000 JSON-RPC notifications, together at most 32 MiB less 4 KiB. What JSON cannot say (a
	 * `Map`, a function, `NaN`) is refused wherever it is, but a property that is `undefined` counts as missing
	 * @param options `id`: a UUID. A call that is repeated with the same id within a minute sends nothing, and answers what the
	 * first call answered (0 where the object was restarted in between)
	 * @returns how many times a notification was handed to a stream
	 * @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
	 */
	publish(notifications: readonly Notification[], options?: SendOptions): number {
		return this.#publish(parsePublish(notifications, options));
	}

	/**
	 * End subscriptions, open, just being opened, or coming back.
	 *
	 * @param target `{ origin, id }` for one, `{ origin }` for all of an origin, `{}` for all
	 * @param reason `closed` where they are complete, else `cancelled`: what their streams are told
	 * @param options `id`: a UUID; a call that is repeated with the same id answers what the first one did (0 where the
	 * object was restarted in between)
	 * @returns how many there were
	 * @throws `INVALID_ARGUMENT`
	 */
	unsubscribe(target: SubscriptionTarget, reason: SubscriptionEnd, options?: SendOptions): number {
		return this.#unsubscribe(parseUnsubscribe(target, reason, options));
	}

	/**
	 * For the managers and `SyncLayerClient`: {@link broadcastBatch}, {@link publish}, {@link unsubscribe} and
	 * {@link subscribersOf} in one call; for the gateway, {@link admit} and {@link end} as well. The first home also returns
	 * the labels of all homes, for a caller that has to reach each of them.
	 * If one argument is refused, or the session that is to end is not admitted, nothing is done.
	 * @param trace as for {@link broadcastBatch}
	 * @throws what they throw
	 */
	relay(input: RelayInput, trace?: TraceContext): Relayed {
		const { broadcasts, publish, end, unsubscribe, subscribersOf } = parseRelay(input);
		const ended = end !== undefined && this.#endOwned(end);
		if (end && !ended) return { ...NOTHING_RELAYED, homes: this.#homes.all };
		return inTrace(trace, () => ({
			homes: this.#homes.all,
			ended,
			broadcasts: broadcasts ? this.#broadcast(broadcasts) : [],
			published: publish ? this.#publish(publish) : 0,
			unsubscribed: unsubscribe ? this.#unsubscribe(unsubscribe) : 0,
			subscribers: subscribersOf === undefined ? [] : this.subscribersOf(subscribersOf),
			isVacant: this.#vacancy?.isOver(Date.now(), () => this.#tickets.open.length > 0) ?? false,
		}));
	}

	/**
	 * End all sessions of an owner, and its listen streams, open, just being opened, or coming back.
	 * @param account as the gateway gave it to {@link begin} and {@link subscribe}
	 * @returns how many sessions there were
	 * @throws `INVALID_ARGUMENT`, `SQLITE_MISSING`
	 */
	endOwner(account: string): number {
		const who = parseOwner(account);
		this.#assertSqlite();
		const sessions = this.#alive(this.#owners?.sessionsOf(who) ?? []);
		for (const session of sessions) this.end(session);
		this.#endSubscriptions(
			(claim) => claim.account === who,
			() => this.#subscriptions.endOf(who),
			'cancelled',
		);
		return sessions.length;
	}

	/**
	 * The sessions that have begun and not ended, in the order of their ids. Reads a row for each, and the events that were
	 * sent since the oldest of them was there last: for operators.
	 * @param options `after`: the last id of the page before; `limit`: 1 to 1,000 (default 100)
	 * @throws `INVALID_ARGUMENT`, `SQLITE_MISSING`
	 */
	listSessions(options?: ListOptions): SessionSummary[] {
		const { after, limit = SESSIONS_PER_PAGE } = parseListOptions(options);
		this.#assertSqlite();
		return summariesOf(this.#inspectable, after ?? '', limit);
	}

	/**
	 * What the object holds at this moment, and a page of its sessions, of its listen streams and of its log, each where it is
	 * asked for: for the page of a `SessionInspector`. Reads one row after a wake; with `sessions` at most 1,000 rows of sessions and the
	 * newest 1,000 events; with `listeners` one for each whose filter is too large for its socket; with `log` one for each
	 * event. Looks at every socket, in memory. Writes nothing.
	 * @param options `sessions`, `listeners`: `{ after?, limit? }` with `next` of the page before; `log`: events between
	 * `after` and `before`, with the beginnings of their `payloads`; each `limit` is 1 to 100 (default 25)
	 * @throws `INVALID_ARGUMENT`, `SQLITE_MISSING`
	 */
	inspect(options?: InspectOptions): Inspected {
		const asked = parseInspectOptions(options);
		this.#assertSqlite();
		return inspectionOf(this.#inspectable, asked);
	}

	/** For `SessionHomes`: the labels of all homes, if this is the first one. */
	homes(): readonly string[] {
		return this.#homes.all;
	}

	/**
	 * For `SessionHomes`, of the first home: note that there is another one, where something may begin within 10 minutes.
	 * @returns as {@link homes}
	 * @throws `INVALID_ARGUMENT`, `SQLITE_MISSING`
	 */
	registerHome(home: string): readonly string[] {
		const label = parseHomeLabel(home);
		this.#assertSqlite();
		this.#homes.add(label, Date.now());
		return this.#homes.all;
	}

	/**
	 * For `SessionHomes`, of the first home: these homes are vacant. Those that were not registered for 25 minutes are
	 * forgotten.
	 * @returns as {@link homes}
	 * @throws `INVALID_ARGUMENT`, `SQLITE_MISSING`
	 */
	forgetHomes(vacant: readonly string[]): readonly string[] {
		const labels = parseHomeLabels(vacant);
		this.#assertSqlite();
		this.#homes.forget(labels, Date.now());
		return this.#homes.all;
	}

	/**
	 * For `SessionHomes`, of the first home: the secret that session ids are signed with, made by the first call.
	 * @throws `SQLITE_MISSING`
	 */
	signingKey(): string {
		this.#assertSqlite();
		return keyFor('signing', this.ctx.storage);
	}

	/** How much the object holds at this moment. Reads every socket and session: for operators, not for every request. */
	stats(): SyncLayerStats {
		const streams = this.#streams.find(STREAM_TAG);
		const sessions = new Set(streams.map(({ attachment }) => attachment.sessionId));
		return {
			streams: streams.length,
			sessions: sessions.size,
			subscriptions: this.#subscriptions.count,
			log: this.#log && {
				...this.#log.stats,
				waiting: Math.max(0, this.#sessions.count() - sessions.size),
			},
		};
	}

	/**
	 * Turn a ticket of {@link attach}, {@link subscribe} or {@link ask} into a WebSocket, or open the stream that a Worker claims
	 * which has the key of this object. A socket cannot be the answer of an RPC call
	 * (https://github.com/cloudflare/workerd/issues/2319), so this is the one request that is not one. Anything else gets a 4xx
	 * and no socket.
	 */
	override async fetch(request: Request): Promise<Response> {
		const upgrade = readUpgrade(request);
		if (upgrade.kind === 'refused') return upgrade.response;
		if (upgrade.kind === 'claim') {
			const key = this.#upgradeKey;
			if (key === undefined || !isEqual(key, upgrade.key)) return this.#refuse('forged');
			return this.#openClaimed(upgrade.claim);
		}
		const redemption = await this.#tickets.redeem(upgrade.ticket);
		if (redemption.kind === 'granted') return this.#open(redemption.claim);
		const { reason, connectionId = '' } = redemption;
		return this.#refuse(reason, asEnd(this.#tickets.endOf(connectionId)));
	}

	/** The Worker's end of our sockets never speaks: one that does is cut off. A subclass's sockets are left alone. */
	override webSocketMessage(
		socket: WebSocket,
		_message: string | ArrayBuffer,
	): void | Promise<void> {
		if (!readAttachment(socket)) return;
		socket.close(CloseCode.unexpectedMessage, 'streams carry messages to the client only');
	}

	/**
	 * Answering the close is needed before the compatibility date 2026-04-07 only (`web_socket_auto_reply_to_close`), and
	 * does no harm after it.
	 */
	override webSocketClose(
		socket: WebSocket,
		code: number,
		reason: string,
		_wasClean: boolean,
	): void | Promise<void> {
		const attachment = readAttachment(socket);
		if (!attachment) return;
		socket.close();
		if (attachment.kind === 'subscription') this.#subscriptions.forget(attachment);
		else if (attachment.kind === 'asker') this.#questions?.closed(attachment, code);
		else {
			const position = code === CloseCode.clientGone ? readPosition(reason) : undefined;
			this.#streams.closed(socket, attachment, position);
		}
	}

	/** A connection that broke ends like one that was closed; the Worker's end sees it too. */
	override webSocketError(socket: WebSocket, _error: unknown): void | Promise<void> {
		return this.webSocketClose(socket, 1006, '', false);
	}

	/** Deletes what has expired. A subclass overrides {@link onAlarm} instead. */
	override async alarm(): Promise<void> {
		this.#alarm.rang();
		const now = Date.now();
		this.#log?.cut(now);
		this.#tellPosition();
		const sweepAt = this.#subscriptions.sweep(now);
		await this.#purgeSessions(now);
		this.#alarm.schedule(this.#log?.nextCutAt);
		this.#alarm.schedule(sweepAt);
		this.#alarm.schedule(this.#questions?.purge(now));
		await this.#alarm.ringOwn(() => this.onAlarm());
	}

	/** Reads every session, so it is done once in a tenth of the shortest life of a row, however often the alarm rings. */
	async #purgeSessions(now: number): Promise<void> {
		const { lifetimes } = this.#options;
		const lateness = Math.min(lifetimes.sessionTtlMs, lifetimes.endedTtlMs) * LATENESS;
		const purgedAt = this.#sql && this.ctx.storage.kv.get<number>(PURGED_AT_KEY);
		if (purgedAt !== undefined && now < purgedAt + lateness) {
			this.#alarm.schedule(purgedAt + lateness);
			return;
		}
		const expiry = await this.#sessions.purge(
			now,
			(session) => this.#streams.has(session),
			(row) => SessionRows.renew(row, lifetimes, now),
		);
		this.#alarm.schedule(this.#owners?.purge(now, now + lifetimes.sessionTtlMs));
		this.#alarm.schedule(expiry === undefined ? undefined : expiry + lateness);
		if (this.#sql && expiry !== undefined) this.ctx.storage.kv.put(PURGED_AT_KEY, now);
	}

	#openLog(): EventLog | undefined {
		const { log, lifetimes } = this.#options;
		if (!this.#sql) return undefined;
		if (log) return new EventLog(this.ctx, this.#sql, log, 2 * lifetimes.unownedTtlMs);
		// It was switched off: what it kept until then would stay for ever, and its positions mean nothing any more.
		if (EventLog.clear(this.ctx.storage, this.#sql)) this.#sessions.forgetStreams();
		return undefined;
	}

	get #inspectable(): Inspectable {
		return {
			ctx: this.ctx,
			log: this.#log,
			sessions: this.#sessions,
			streams: this.#streams,
			subscriptions: this.#subscriptions,
			isAlive: (row) => this.#isAlive(row),
		};
	}

	get #head(): number {
		return this.#log?.head ?? 0;
	}

	#assertSqlite(): void {
		if (this.#sql) return;
		throw new SessionManagerError(
			'SQLITE_MISSING',
			'a SessionGateway, a DurableObjectInfoSessionManager, several homes, a list of sessions and the end of all sessions of an owner need a SyncLayer class that was made with "new_sqlite_classes". This one was made with "new_classes": bind a new class, or do without them.',
		);
	}

	/** The row of a session that has neither ended nor expired. One with an open stream does not expire. */
	#liveRow(session: string): SessionRows.SessionRow | undefined {
		const row = this.#sessions.get(session);
		return this.#isAlive(row) ? row : undefined;
	}

	/** The same, where the session was issued to this owner. */
	#ownRow(session: string, owner: string): SessionRows.SessionRow | undefined {
		const row = this.#liveRow(session);
		// Compared for an unknown session, too, so that it takes equal time.
		return isOwner(row?.owner, owner) ? row : undefined;
	}

	#alive(sessions: readonly string[]): string[] {
		const rows = this.#sessions.getAll(sessions);
		return sessions.filter((session) => this.#isAlive(rows.get(session)));
	}

	#isAlive<Row extends SessionRows.Glance>(row: Row | undefined): row is Row {
		if (row === undefined || row.state === 'ended') return false;
		return row.expiresAt > Date.now() || this.#streams.has(row.sessionId);
	}

	/** @returns whether there was a stream, open or just being opened */
	#closeStreams(session: string, connectionId?: string): boolean {
		let wasOpen = this.#tickets.revoke(slotOfSession(session), connectionId);
		for (const { socket, attachment } of this.#streams.find(session)) {
			if (connectionId !== undefined && attachment.connectionId !== connectionId) continue;
			socket.close(CloseCode.detached, 'detached');
			this.#tickets.noteEnd(attachment.connectionId, 'detached');
			wasOpen = true;
		}
		return wasOpen;
	}

	#publish({ notifications, id }: ReturnType<typeof parsePublish>): number {
		const call = id === undefined ? undefined : `publish ${id}`;
		const answered = call === undefined ? undefined : this.#answered.get(call);
		if (answered !== undefined) return answered;
		const delivered = this.#subscriptions.publish(notifications, id);
		this.#afterAppend();
		if (call !== undefined) this.#answered.set(call, delivered);
		return delivered;
	}

	/** @returns whether the session was its owner's; the same for a call that is repeated with its id */
	#endOwned({ session, owner, id }: NonNullable<ParsedRelay['end']>): boolean {
		this.#assertSqlite();
		const call = id === undefined ? undefined : `end ${id}`;
		if (call !== undefined && this.#answered.get(call) !== undefined) return true;
		if (!this.#ownRow(session, owner)) return false;
		this.end(session);
		if (call !== undefined) this.#answered.set(call, 1);
		return true;
	}

	#unsubscribe({ target, reason, id }: ReturnType<typeof parseUnsubscribe>): number {
		const answered = id === undefined ? undefined : this.#answered.get(id);
		if (answered !== undefined) return answered;
		const ended = this.#endSubscriptions(
			({ subscription }) => Subscriptions.isTarget(subscription, target),
			() => this.#subscriptions.end(target, reason),
			reason,
		);
		if (id !== undefined) this.#answered.set(id, ended);
		return ended;
	}

	/**
	 * @param isOpening whether a subscription that is just being opened is one of them
	 * @param endOpen ends those that are open
	 * @returns how many there were
	 */
	#endSubscriptions(
		isOpening: (claim: SubscriptionClaim) => boolean,
		endOpen: () => readonly { connectionId: string }[],
		reason: SubscriptionEnd,
	): number {
		const opening = this.#tickets.open.filter(
			(claim) => claim.kind === 'subscription' && isOpening(claim),
		);
		for (const { slot } of opening) this.#tickets.revoke(slot);
		const ended = [...opening, ...endOpen()];
		const connectionIds = new Set(ended.map(({ connectionId }) => connectionId));
		for (const connectionId of connectionIds) this.#tickets.noteEnd(connectionId, reason);
		return connectionIds.size;
	}

	#broadcast(batch: readonly (Broadcast & { resource: string | undefined })[]): BroadcastResult[] {
		const results = batch.map(({ resource, ...broadcast }) => {
			if (resource === undefined) return this.#streams.broadcast(broadcast);
			const sessions = this.subscribersOf(resource);
			if (sessions.length === 0) return NOTHING_SENT;
			return this.#streams.broadcast({ ...broadcast, sessions, areKnown: true });
		});
		this.#afterAppend();
		return results;
	}

	#afterAppend(): void {
		this.#alarm.schedule(this.#log?.nextCutAt);
		this.#tellPosition();
	}

	#tellPosition(): void {
		const seq = this.#log?.takePositionToTell();
		if (seq === undefined) return;
		const frame = encodeFrame({ seq, data: '' });
		for (const tag of [STREAM_TAG, SUBSCRIPTION_TAG]) {
			for (const socket of this.ctx.getWebSockets(tag)) deliver(socket, frame);
		}
	}

	/** A secret between this object and the Workers that may call it. */
	get #upgradeKey(): string | undefined {
		return this.#sql && (this.#key ??= keyFor('upgrade', this.ctx.storage));
	}

	#refuse(why: RefusalReason, reason?: SubscriptionEnd): Response {
		if (channels.refused.hasSubscribers) {
			channels.refused.publish({ ...here(this.ctx), reason: codeOfRefusal(why) });
		}
		return refusal(why, reason);
	}

	/** @param text a session id and options of {@link attach}: see `KEY_HEADER` */
	#openClaimed(text: string): Response {
		let claim: StreamClaim;
		try {
			const { session, options } = parseClaim(text);
			claim = claimOf(session, options);
			this.#assertOwned(claim);
		} catch (error) {
			return this.#failed(error);
		}
		return this.#open(claim);
	}

	/** @throws `STREAM_DETACHED`, `SQLITE_MISSING` */
	#assertOwned({ sessionId, owner }: StreamClaim): void {
		if (owner === undefined || this.admit(sessionId, owner)) return;
		throw this.#othersSession(sessionId);
	}

	#open(claim: AnyClaim): Response {
		const { 0: workerEnd, 1: objectEnd } = new WebSocketPair();
		try {
			const start = this.#openSocket(objectEnd, claim);
			if (channels.attached.hasSubscribers) {
				channels.attached.publish({
					...here(this.ctx),
					session: sessionOf(claim),
					stream: STREAM_KINDS[claim.kind],
					recovered: start?.recovered ?? true,
				});
			}
			const log = this.#positionOf(start);
			const headers = log ? { [LOG_HEADER]: JSON.stringify(log) } : {};
			return new Response(null, { status: 101, webSocket: workerEnd, headers });
		} catch (error) {
			return this.#failed(error, sessionOf(claim));
		}
	}

	/** @throws the error, where it has no code */
	#failed(error: unknown, session?: string): Response {
		publishFailure(error, { ...here(this.ctx), session });
		const coded = SessionManagerError.from(error);
		if (!coded) throw error;
		return errorResponse(coded.code, coded.reason);
	}

	#openSocket(socket: WebSocket, claim: AnyClaim): ReplayStart | undefined {
		switch (claim.kind) {
			case 'stream':
				this.#assertMayOpen(claim);
				if (!this.#log) this.#vacancy?.end();
				return this.#openStream(socket, claim);
			case 'subscription':
				this.#vacancy?.end();
				return this.#subscriptions.open(socket, claim);
			case 'asker':
				this.#questions?.open(socket, claim);
				return undefined;
		}
	}

	/**
	 * The answer to the connection before may be lost: what its Worker then tries again must not take the place of the new
	 * one.
	 */
	#openStream(socket: WebSocket, claim: StreamClaim): ReplayStart | undefined {
		// Where it has had a ticket itself, that was the newest, and no other one is open.
		this.#tickets.supersede(claim.slot);
		const before = this.#streams.servedBy(claim.sessionId);
		const start = this.#streams.open(socket, claim);
		for (const connectionId of before) {
			if (connectionId === claim.connectionId || this.#tickets.endOf(connectionId)) continue;
			this.#tickets.noteEnd(connectionId, 'superseded');
		}
		return start;
	}

	#positionOf(start: ReplayStart | undefined): LogPosition | undefined {
		if (!this.#log || !start) return undefined;
		const { shard, epoch } = this.#log.extent;
		return { eventIdPrefix: `${shard}.${epoch}.`, ...start };
	}

	/**
	 * A connection that was ended opens nothing, and one that comes back by itself must not take the place of a newer one.
	 * @throws `STREAM_DETACHED`, `STREAM_SUPERSEDED`
	 */
	#assertMayOpen(claim: StreamClaim): void {
		const { sessionId, connectionId, lastEventId, resume, slot, owner } = claim;
		// Whoever names no owner has not been asked whose the session is; it may have begun since the ticket was made.
		if (owner === undefined && this.#liveRow(sessionId)?.owner !== undefined) {
			throw this.#othersSession(sessionId);
		}
		const superseded = () => {
			const why =
				'another stream of the session took the place of this one, or the session has ended.';
			return this.#refused('STREAM_SUPERSEDED', why, sessionId);
		};
		const end = this.#tickets.endOf(connectionId);
		if (end === 'superseded') throw superseded();
		if (end !== undefined) {
			const why = 'the connection was detached before its stream was open.';
			throw this.#refused('STREAM_DETACHED', why, sessionId);
		}
		if (!resume) return;
		const row = this.#sessions.get(sessionId);
		if (row?.state === 'ended' || row?.state === 'detached') {
			const why = 'the session, or its stream, was ended while the connection was away.';
			throw this.#refused('STREAM_DETACHED', why, sessionId);
		}
		const opening = this.#tickets.claimOf(slot);
		const isOvertaken =
			// With a log, the row tells who served the session last; a stream from before the log was switched on has none.
			this.#log && (row !== undefined || lastEventId !== undefined)
				? !SessionRows.isServed(row) || row.connectionId !== connectionId
				: this.#streams
						.find(sessionId)
						.some(({ attachment }) => attachment.connectionId !== connectionId);
		if (isOvertaken || (opening && opening.connectionId !== connectionId)) throw superseded();
	}

	/**
	 * Both limits are looked at before anything is written: a refusal costs no row.
	 * @returns all sessions that the owner has with this one
	 */
	#assertRoomForSession(session: string, account: string | undefined): readonly string[] {
		const { maxSessions, maxSessionsPerOwner } = this.#options.limits;
		const ofOwner =
			account === undefined ? [] : this.#owners?.withOneMore(account, session, maxSessionsPerOwner);
		if (!ofOwner) {
			const why = ownerLimitReached('sessions', 'maxSessionsPerOwner', maxSessionsPerOwner);
			throw this.#refused('OWNER_LIMIT_REACHED', why, session);
		}
		const isNew = this.#sessions.get(session) === undefined;
		if (isNew && !this.#sessions.known?.takeOne(maxSessions)) {
			const why = `the object knows ${maxSessions} sessions, which is its limit. Try again when some of them have expired, or raise maxSessions in the static options of the class.`;
			throw this.#refused('TOO_MANY_SESSIONS', why, session);
		}
		return ofOwner;
	}

	#assertFewResources({ filters }: SubscriptionInput): void {
		const { maxResourcesPerSubscription: max } = this.#options.limits;
		const count = filters.resourceSubscriptions?.length ?? 0;
		if (count <= max) return;
		throw new SessionManagerError(
			'INVALID_ARGUMENT',
			`a subscription to ${count} resources is over the limit of ${max}. Name fewer, or raise maxResourcesPerSubscription in the static options of the class.`,
		);
	}

	#assertRoomForSubscription(account: string | undefined): void {
		const { maxSubscriptions, maxSubscriptionsPerOwner } = this.#options.limits;
		const opening = this.#tickets.open.filter((claim) => claim.kind === 'subscription');
		if (account !== undefined) {
			const openingOfOwner = opening.filter((claim) => claim.account === account);
			const count = this.#subscriptions.countOf(account) + openingOfOwner.length;
			if (count >= maxSubscriptionsPerOwner) {
				const option = 'maxSubscriptionsPerOwner';
				const why = ownerLimitReached('subscriptions', option, maxSubscriptionsPerOwner);
				throw this.#refused('OWNER_LIMIT_REACHED', why);
			}
		}
		if (!this.#subscriptions.isFull(maxSubscriptions - opening.length)) return;
		const why = `the object has ${maxSubscriptions} subscriptions, which is its limit. Raise maxSubscriptions in the static options of the class, up to the 32,768 sockets of an object.`;
		throw this.#refused('TOO_MANY_SUBSCRIPTIONS', why);
	}

	#othersSession(session: string): SessionManagerError {
		const why = 'the session has ended, or is not this owner’s.';
		return this.#refused('STREAM_DETACHED', why, session);
	}

	/** @returns the error, once it is told: its caller may be a Worker that does not tell */
	#refused(code: SessionManagerErrorCode, why: string, session?: string): SessionManagerError {
		const error = new SessionManagerError(code, why);
		publishFailure(error, { ...here(this.ctx), session });
		return error;
	}
}

/** What an `attached` event calls the streams. */
const STREAM_KINDS = {
	stream: 'session',
	subscription: 'listen',
	asker: 'answers',
} as const satisfies Record<AnyClaim['kind'], StreamKind>;

function sessionOf(claim: AnyClaim): string | undefined {
	return claim.kind === 'subscription' ? undefined : claim.sessionId;
}

/** When sessions were purged last, in milliseconds since 1970. */
const PURGED_AT_KEY = 'tmcp:purged_at';

/** How many sessions `listSessions` answers, unless told otherwise. */
const SESSIONS_PER_PAGE = 100;

const NOTHING_SENT: BroadcastResult = { delivered: 0, waiting: 0, missed: 0 };

const NOTHING_RELAYED: Omit<Relayed, 'homes'> = {
	broadcasts: [],
	published: 0,
	ended: false,
	unsubscribed: 0,
	subscribers: [],
	isVacant: false,
};

/** As long as a SHA-256 in base64url, and none. */
const DUMMY_OWNER = '-'.repeat(43);

/** Compares in constant time; without an owner with a dummy, so that unknown sessions take equal time. */
function isOwner(owner: string | undefined, who: string): boolean {
	return isEqual(owner ?? DUMMY_OWNER, who) && owner !== undefined;
}

/** Compares in constant time. That they are of different length is no secret. */
function isEqual(secret: string, given: string): boolean {
	const encoder = new TextEncoder();
	const [a, b] = [encoder.encode(secret), encoder.encode(given)];
	return a.byteLength === b.byteLength && crypto.subtle.timingSafeEqual(a, b);
}

function ownerLimitReached(of: string, option: string, max: number): string {
	return `the owner has ${max} ${of}, which is the limit for one. End one of them, or raise ${option} in the static options of the class.`;
}

function asEnd(reason: string | undefined): SubscriptionEnd | undefined {
	return reason === 'closed' || reason === 'cancelled' ? reason : undefined;
}

/** The position that the other end named when it closed its socket, if it did. */
function readPosition(reason: string): number | undefined {
	return /^\d{1,15}$/.test(reason) ? Number(reason) : undefined;
}

function claimOf(sessionId: string, options: AttachOptions): StreamClaim {
	const {
		connectionId = crypto.randomUUID(),
		lastEventId,
		window,
		resume = false,
		owner,
	} = options;
	const slot = slotOfSession(sessionId);
	return { kind: 'stream', slot, sessionId, connectionId, lastEventId, window, resume, owner };
}

function slotOfSession(sessionId: string): string {
	return `session ${sessionId}`;
}
