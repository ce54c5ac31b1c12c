import { DurableObject } from 'cloudflare:workers';
import { quote, SessionManagerError } from '../errors.ts';
import { CloseCode, encodeFrame, LOG_HEADER, STREAM_TAG, TICKET_TTL_MS } from '../wire/protocol.ts';
import {
	type AttachOptions,
	type BroadcastInput,
	type DetachOptions,
	type Notification,
	parseAttachOptions,
	parseBroadcast,
	parseBroadcasts,
	parseDetachOptions,
	parseNotifications,
	parseOwner,
	parseSendOptions,
	parseSessionId,
	parseSubscribeOptions,
	parseSubscriptionEnd,
	parseSubscription,
	parseUnsubscribe,
	type SendOptions,
	type SubscribeOptions,
	type SubscriptionEnd,
	type SubscriptionInput,
	type SubscriptionTarget,
} from '../wire/arguments.ts';
import { readAttachment } from './sockets/attachment.ts';
import { History } from './log/history.ts';
import { Housekeeper } from './alarm.ts';
import { parseSyncLayerOptions, type SyncLayerOptions } from './options.ts';
import { Recent } from './recent.ts';
import { Registry } from './sessions/registry.ts';
import type { ReplayStart } from './log/replay.ts';
import { SentIds } from './log/sent-ids.ts';
import { deliver } from './sockets/sockets.ts';
import { type Broadcast, type BroadcastResult, Streams } from './sessions/streams.ts';
import { SubscriptionEnds } from './subscriptions/subscription-ends.ts';
import { SUBSCRIPTION_TAG } from './subscriptions/subscription-tags.ts';
import { isTarget, Subscriptions } from './subscriptions/subscriptions.ts';
import { type Claim, END_MEMORY_MS, TicketOffice } from './door/ticket-office.ts';
import { errorResponse, readUpgrade, refusal } from './door/upgrade.ts';

interface ComingBack {
	lastEventId: string | undefined;
}
type StreamClaim = Claim & ComingBack & { kind: 'stream'; sessionId: string };
type SubscriptionClaim = Claim &
	ComingBack & { kind: 'subscription'; subscription: SubscriptionInput };

/** Where a stream stands in the log that it opens on. */
export interface LogPosition {
	/** Event ids of this log begin with it: `<shard>.<epoch>.`. */
	eventIdPrefix: string;
	/** The stream gets what comes after this place. */
	after: number;
	/** `false` where that may not be all that the one who comes back has missed. */
	recovered: boolean;
}

/** The answer of {@link SyncLayer.attach}. */
export interface Attached {
	/** The session: as it was given, or the UUID that was made for it. */
	sessionId: string;
	/** Names this one stream of the session, for {@link SyncLayer.detach}. */
	connectionId: string;
	/** Opens one socket, once, within {@link ticketTtlMs}. */
	ticket: string;
	/** How long the ticket is good for, in milliseconds. */
	ticketTtlMs: number;
	/** Whether the session has an open stream, which ends when the ticket is redeemed. */
	supersedes: boolean;
	/** Where the stream would start at this moment; `undefined` where nothing is kept. */
	log: LogPosition | undefined;
}

/** The answer of {@link SyncLayer.subscribe}. */
export type Subscribed =
	| {
			kind: 'subscribed';
			/** Opens one socket, once, within {@link ticketTtlMs}. */
			ticket: string;
			/** How long the ticket is good for, in milliseconds. */
			ticketTtlMs: number;
			/** Where the stream would start at this moment; `undefined` where nothing is kept. */
			log: LogPosition | undefined;
	  }
	/** The origin has a subscription of this id already; nothing was changed. */
	| { kind: 'duplicate' }
	/** This connection was ended before, while it was opening or coming back; nothing was changed. */
	| { kind: 'ended'; reason: SubscriptionEnd };

/** The answer of {@link SyncLayer.stats}. */
export interface SyncLayerStats {
	/** Open streams. */
	streams: number;
	/** Sessions that have one. */
	sessions: number;
	/** Open `subscriptions/listen` streams. */
	subscriptions: number;
	/** What is kept for those who come back; `undefined` where nothing is. */
	log:
		| {
				/** Events, and their bytes. */
				events: number;
				bytes: number;
				/** Sessions that have no stream, and are waited for. */
				waiting: number;
				/** How often somebody came back for what was no longer there, since the object woke. */
				gaps: number;
		  }
		| undefined;
}

/**
 * The Durable Object that holds the streams of all sessions, so that any Worker can reach any client.
 *
 * Its methods are called by Workers RPC on a stub. The streams are hibernating WebSockets that are found by
 * tag: an object that wakes has nothing to rebuild, and a call costs what it addresses, not what is open. One
 * object holds at most 32,768 of them
 * (https://developers.cloudflare.com/durable-objects/api/state/#acceptwebsocket).
 *
 * ```ts
 * const object = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
 * const { delivered } = await object.broadcast([sessionId], 'event: message\ndata: {}\n\n');
 * ```
 */
export class SyncLayer<Env = Cloudflare.Env> extends DurableObject<Env> {
	/** Settings, for a subclass to override. */
	static readonly options: SyncLayerOptions = {};

	#options = parseSyncLayerOptions(Reflect.get(this.constructor, 'options'));
	#tickets = new TicketOffice<StreamClaim | SubscriptionClaim>();
	#registry = new Registry(this.ctx.storage, this.#options.sessionTtlMs, () =>
		this.#housekeeper.schedule(),
	);
	#housekeeper = new Housekeeper(this.ctx, () => [
		...(this.#history?.keepers ?? []),
		this.#registry,
	]);
	#history = History.open(this.ctx.storage, this.#options.history, () =>
		this.#housekeeper.schedule(),
	);
	#sent = new SentIds(() => this.#history?.recentBroadcasts() ?? []);
	#streams = new Streams(this.ctx, this.#history, this.#registry, this.#sent);
	#subscriptions = new Subscriptions(this.ctx, this.#history, this.#sent);
	#subscriptionEnds = new SubscriptionEnds();
	/** Sessions whose stream was ended, or that are over, not long ago. */
	#ended = new Recent<'detached' | 'forgotten'>(END_MEMORY_MS);

	/**
	 * Note a session that was issued, so that {@link admits} knows it. Doing it again renews it.
	 *
	 * @param owner whose it is: a SHA-256 in base64url
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT` (also where the id was issued to another owner), `SQLITE_MISSING`
	 */
	register(sessionId: string, owner: string): void {
		const session = parseSessionId(sessionId);
		const wasAnother = this.#registry.register(session, parseOwner(owner), Date.now());
		if (wasAnother) this.#history?.forget(session);
		this.#history?.begin(session);
		this.#ended.delete(session);
	}

	/**
	 * Whether a session was registered for this owner, and has neither ended ({@link detach} with `forget`) nor expired. To
	 * ask is a sign of life.
	 *
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `SQLITE_MISSING`
	 */
	admits(sessionId: string, owner: string): boolean {
		const session = parseSessionId(sessionId);
		const isAdmitted = this.#registry.admits(session, parseOwner(owner), Date.now());
		if (isAdmitted) this.#history?.touch(session);
		return isAdmitted;
	}

	/**
	 * Claim the one stream that a session has. The newest claim wins: redeeming its ticket closes an older
	 * stream with close code 4001, and an older ticket that is still open is refused from now on.
	 *
	 * @param sessionId 1 to 256 visible ASCII characters (0x21–0x7E); a UUID is made where none is given
	 * @param options `ticket`, `connectionId`: UUIDs that the caller made, so that the upgrade can leave together with
	 * this call, and the stream can be detached before the answer is here; `lastEventId`: the last event that the client
	 * has, as it stands on its `id` line; `resume`: only if `connectionId` served the session last; `owner`: only if
	 * {@link admits} would say so
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `STREAM_SUPERSEDED` (with `resume`),
	 * `STREAM_DETACHED` (of a `connectionId` that was detached before, or with an `owner` whose session it is not),
	 * `SQLITE_MISSING` (with `owner`)
	 */
	attach(sessionId?: string, options?: AttachOptions): Attached {
		const session = sessionId === undefined ? crypto.randomUUID() : parseSessionId(sessionId);
		const {
			ticket = crypto.randomUUID(),
			connectionId = crypto.randomUUID(),
			lastEventId,
			resume = false,
			owner,
		} = parseAttachOptions(options);
		this.#assertUnused(ticket);
		if (owner !== undefined && !this.admits(session, owner)) {
			throw new SessionManagerError(
				'STREAM_DETACHED',
				`the session ${quote(session)} has ended, or is not this owner's.`,
			);
		}
		if (this.#tickets.endOf(connectionId) !== undefined) {
			throw new SessionManagerError(
				'STREAM_DETACHED',
				`the connection ${connectionId} was detached before it was attached.`,
			);
		}
		if (resume) this.#assertNotOvertaken(session, connectionId, lastEventId);
		else this.#ended.delete(session);
		this.#tickets.issue(ticket, {
			kind: 'stream',
			sessionId: session,
			connectionId,
			lastEventId,
			...placeOfSession(session),
		});
		return {
			sessionId: session,
			connectionId,
			ticket,
			ticketTtlMs: TICKET_TTL_MS,
			supersedes: this.has(session),
			log: this.#positionOf(this.#history?.startOf(session, connectionId, lastEventId)),
		};
	}

	/**
	 * End a session's stream, open or just being opened.
	 *
	 * @param options `connectionId`: end that stream only, and leave a newer one alone; `position`, with it: the place of
	 * the last event that its client took (default: of the last that was handed over); `forget`: the session has ended, leave
	 * nothing of it, not even what waits for it
	 * @returns whether there was one
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`
	 */
	detach(sessionId: string, options?: DetachOptions): boolean {
		const session = parseSessionId(sessionId);
		const { connectionId, position, forget = false } = parseDetachOptions(options);
		if (connectionId !== undefined) this.#tickets.noteEnd(connectionId, 'detached');
		else this.#ended.set(session, forget ? 'forgotten' : 'detached');
		let detached = this.#tickets.revoke(placeOfSession(session).place, connectionId);
		for (const { socket, attachment } of this.#streams.find(session)) {
			if (connectionId !== undefined && attachment.connectionId !== connectionId) continue;
			socket.close(CloseCode.detached, 'detached');
			this.#streams.closed(socket, attachment, position);
			detached = true;
		}
		// Between two sockets it has none, but may come back.
		if (connectionId === undefined) this.#history?.dismiss(session);
		else this.#history?.served(session, connectionId, position);
		if (forget) {
			this.#history?.forget(session);
			this.#registry.delete(session);
		}
		return detached;
	}

	/**
	 * Whether the session has an open stream.
	 * @throws `INVALID_SESSION_ID`
	 */
	has(sessionId: string): boolean {
		return this.#streams.find(parseSessionId(sessionId)).length > 0;
	}

	/**
	 * Send a payload to the named sessions, or to every session. It waits for those that have no stream, as long as the
	 * log keeps it. A dead socket costs no other session its message; nothing is sent where an argument is refused.
	 *
	 * @param sessions session ids, each of which gets the payload once; `undefined` for all
	 * @param data the text to put on the streams; tmcp's transports give whole SSE events. At most 32 MiB less
	 * 4 KiB, with the ids (the platform's limit of one RPC call and of one WebSocket message); what is over 2 MB is sent
	 * but not kept
	 * @param options `id`: a UUID; a broadcast that is repeated with the same id is sent once
	 * @throws `INVALID_ARGUMENT`, `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
	 */
	broadcast(
		sessions: readonly string[] | undefined,
		data: string,
		options?: SendOptions,
	): BroadcastResult {
		return this.#broadcast(parseBroadcast(sessions, data, options));
	}

	/**
	 * {@link broadcast} several payloads in their order. Nothing is sent where one is refused.
	 *
	 * @param broadcasts together at most 32 MiB less 4 KiB
	 * @throws `INVALID_ARGUMENT`, `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
	 */
	broadcastAll(broadcasts: readonly BroadcastInput[]): BroadcastResult[] {
		return parseBroadcasts(broadcasts).map((broadcast) => this.#broadcast(broadcast));
	}

	/**
	 * Register a `subscriptions/listen` stream (MCP 2026-07-28). Once its ticket is redeemed, the socket gets each
	 * notification that matches, as JSON and in the order of {@link publish}.
	 *
	 * @param subscription request id, origin (which may have one subscription of each id; a string and a number are
	 * different ids) and what it wants to hear of; at most 1 MiB
	 * @param options `ticket`, `connectionId`: UUIDs that the caller made. With the same `connectionId` as before, a
	 * subscription comes back after its object was restarted, and takes its own old place; `lastEventId`: the last event
	 * that it has; `resume`: it comes back, unless it was ended meanwhile
	 * @throws `INVALID_ARGUMENT`, `TOO_MANY_SUBSCRIPTIONS`
	 */
	subscribe(subscription: SubscriptionInput, options?: SubscribeOptions): Subscribed {
		const parsed = parseSubscription(subscription);
		const {
			ticket = crypto.randomUUID(),
			connectionId = crypto.randomUUID(),
			lastEventId,
			resume = false,
		} = parseSubscribeOptions(options);
		this.#assertUnused(ticket);
		const end = this.#tickets.endOf(connectionId);
		if (end !== undefined) return { kind: 'ended', reason: parseSubscriptionEnd(end) };
		const reason = resume ? this.#subscriptionEnds.endOf(parsed, connectionId) : undefined;
		if (reason !== undefined) return { kind: 'ended', reason };
		if (!resume) this.#subscriptionEnds.noteBegin(connectionId);
		const { place, holder } = placeOfSubscription(parsed);
		const before = [
			this.#tickets.claimOf(place),
			...this.#subscriptions.find(parsed).map(({ attachment }) => attachment),
		].filter((known) => known !== undefined);
		if (before.some((known) => known.connectionId !== connectionId)) return { kind: 'duplicate' };
		if (before.length === 0) this.#assertRoomForSubscription();
		this.#tickets.issue(ticket, {
			kind: 'subscription',
			subscription: parsed,
			connectionId,
			lastEventId,
			place,
			holder,
		});
		const log = this.#positionOf(this.#history?.startOfSubscription(lastEventId));
		return { kind: 'subscribed', ticket, ticketTtlMs: TICKET_TTL_MS, log };
	}

	/**
	 * Send notifications to the subscriptions that asked for them, each once and in order.
	 *
	 * @param notifications JSON-RPC notifications, together at most 32 MiB less 4 KiB
	 * @param options `id`: a UUID; what is repeated with the same id is sent once
	 * @returns how many times a notification was handed to a stream
	 * @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
	 */
	publish(notifications: readonly Notification[], options?: SendOptions): number {
		const { id } = parseSendOptions(options, 'publish');
		const delivered = this.#subscriptions.publish(parseNotifications(notifications), id);
		this.#tellPlace();
		return delivered;
	}

	/**
	 * End subscriptions, open or just being opened.
	 *
	 * @param target `{ origin, id }` for one, `{ origin }` for all of an origin, `{}` for all
	 * @param reason `closed` where they are complete, else `cancelled`: what their streams are told
	 * @returns how many there were
	 * @throws `INVALID_ARGUMENT`
	 */
	unsubscribe(target: SubscriptionTarget, reason: SubscriptionEnd): number {
		const { target: which, reason: why } = parseUnsubscribe(target, reason);
		this.#subscriptionEnds.note(which, why);
		const opening = this.#tickets.open.filter(
			(claim) => claim.kind === 'subscription' && isTarget(claim.subscription, which),
		);
		for (const { place } of opening) this.#tickets.revoke(place);
		const connectionIds = [...opening, ...this.#subscriptions.end(which, why)].map(
			({ connectionId }) => connectionId,
		);
		for (const connectionId of connectionIds) this.#tickets.noteEnd(connectionId, why);
		return new Set(connectionIds).size;
	}

	/** How much the object holds at this moment. Reads every socket: for operators, not for every request. */
	stats(): SyncLayerStats {
		const streams = this.#streams.find(STREAM_TAG);
		const sessions = new Set(streams.map(({ attachment }) => attachment.sessionId));
		return {
			streams: streams.length,
			sessions: sessions.size,
			subscriptions: this.#subscriptions.count,
			log: this.#history?.stats,
		};
	}

	/**
	 * Turn a ticket of {@link attach} or {@link subscribe} into a WebSocket. A socket cannot be the answer of an RPC call
	 * (https://github.com/cloudflare/workerd/issues/2319), so this is the one request that is not one;
	 * {@link openSocket} makes it. Anything but an upgrade with a valid ticket gets a 4xx and no socket.
	 */
	override async fetch(request: Request): Promise<Response> {
		const upgrade = readUpgrade(request);
		if (upgrade.kind === 'refused') return upgrade.response;
		const redemption = await this.#tickets.redeem(
			upgrade.ticket,
			`${upgrade.holder.kind} ${upgrade.holder.id}`,
		);
		return redemption.kind === 'granted'
			? this.#open(redemption.claim)
			: refusal(redemption.reason);
	}

	/** The Worker's end never speaks. One that does is not ours, so it is cut off. */
	override webSocketMessage(socket: WebSocket): void {
		socket.close(CloseCode.unexpectedMessage, 'streams carry messages to the client only');
	}

	/**
	 * Answering the close is needed before the compatibility date 2026-04-07 only (`web_socket_auto_reply_to_close`), and
	 * does no harm after it.
	 */
	override webSocketClose(socket: WebSocket, code: number, reason: string): void {
		socket.close();
		const attachment = readAttachment(socket);
		if (attachment?.kind === 'subscription') this.#subscriptions.forget(attachment);
		if (attachment?.kind === 'stream') {
			this.#streams.closed(
				socket,
				attachment,
				code === CloseCode.clientGone ? readPlace(reason) : undefined,
			);
		}
	}

	/** A connection that broke ends like one that was closed; the Worker's end sees it too. */
	override webSocketError(socket: WebSocket): void {
		this.webSocketClose(socket, 1006, '');
	}

	/** Purges what is too old to be kept. */
	override async alarm(): Promise<void> {
		await this.#housekeeper.purge();
		this.#tellPlace();
	}

	#broadcast({ sessions, ...broadcast }: Broadcast): BroadcastResult {
		// Somebody may not have heard yet that a session is over.
		const alive = sessions?.filter((session) => this.#ended.get(session) !== 'forgotten');
		const result = this.#streams.broadcast({ sessions: alive, ...broadcast });
		this.#tellPlace();
		const over = (sessions?.length ?? 0) - (alive?.length ?? 0);
		return { ...result, missed: result.missed + over };
	}

	#tellPlace(): void {
		const seq = this.#history?.takePlaceToTell();
		if (seq === undefined) return;
		const frame = encodeFrame({ seq, data: '' });
		for (const tag of [STREAM_TAG, SUBSCRIPTION_TAG]) {
			for (const socket of this.ctx.getWebSockets(tag)) deliver(socket, frame);
		}
	}

	#open(claim: StreamClaim | SubscriptionClaim): Response {
		const { 0: workerEnd, 1: objectEnd } = new WebSocketPair();
		try {
			const log = this.#positionOf(this.#accept(objectEnd, claim));
			const headers = log ? { [LOG_HEADER]: JSON.stringify(log) } : {};
			return new Response(null, { status: 101, webSocket: workerEnd, headers });
		} catch (error) {
			const coded = SessionManagerError.from(error);
			if (!coded) throw error;
			return errorResponse(coded.code === 'OBJECT_FULL' ? 503 : 400, coded.code, coded.reason);
		}
	}

	#accept(socket: WebSocket, claim: StreamClaim | SubscriptionClaim): ReplayStart | undefined {
		const { connectionId, lastEventId } = claim;
		if (claim.kind === 'subscription') {
			return this.#subscriptions.open(socket, connectionId, claim.subscription, lastEventId);
		}
		const { kind, sessionId } = claim;
		return this.#streams.open(socket, { kind, sessionId, connectionId }, lastEventId);
	}

	#positionOf(start: ReplayStart | undefined): LogPosition | undefined {
		if (!this.#history || !start) return undefined;
		const { shard, epoch } = this.#history.extent;
		return { eventIdPrefix: `${shard}.${epoch}.`, ...start };
	}

	/** A stream that comes back by itself must not take the place of a newer one. */
	#assertNotOvertaken(
		session: string,
		connectionId: string,
		lastEventId: string | undefined,
	): void {
		if (this.#ended.get(session) !== undefined) {
			throw new SessionManagerError(
				'STREAM_DETACHED',
				`the stream of the session ${quote(session)} was ended while it was away.`,
			);
		}
		// One that began when there was no log, in an object that was replaced since, is not known to it.
		const isRecorded = lastEventId !== undefined || this.#history?.knows(session) === true;
		const isOvertaken =
			this.#history && isRecorded
				? !this.#history.isServedBy(session, connectionId)
				: this.has(session);
		const claim = this.#tickets.claimOf(placeOfSession(session).place);
		if (!isOvertaken && (!claim || claim.connectionId === connectionId)) return;
		throw new SessionManagerError(
			'STREAM_SUPERSEDED',
			`another stream of the session ${quote(session)} took the place of this one, or the session has ended.`,
		);
	}

	#assertUnused(ticket: string): void {
		if (!this.#tickets.knows(ticket)) return;
		throw new SessionManagerError(
			'INVALID_ARGUMENT',
			'the ticket was used before. Make a new one with crypto.randomUUID(), or leave it out.',
		);
	}

	#assertRoomForSubscription(): void {
		const { maxSubscriptions } = this.#options;
		const opening = this.#tickets.open.filter(({ kind }) => kind === 'subscription').length;
		if (!this.#subscriptions.isFull(maxSubscriptions - opening)) return;
		throw new SessionManagerError(
			'TOO_MANY_SUBSCRIPTIONS',
			`the object has ${maxSubscriptions} subscriptions, which is its limit. Raise maxSubscriptions in the static options of the class, up to the 32,768 sockets of an object.`,
		);
	}
}

/** The place that the other end named when it closed its socket, if it did. */
function readPlace(reason: string): number | undefined {
	return /^\d{1,15}$/.test(reason) ? Number(reason) : undefined;
}

/** A session has one stream. */
function placeOfSession(sessionId: string): Pick<Claim, 'place' | 'holder'> {
	const name = `session ${sessionId}`;
	return { place: name, holder: name };
}

/** An origin has one subscription of each id. */
function placeOfSubscription({ origin, id }: SubscriptionInput): Pick<Claim, 'place' | 'holder'> {
	return { place: `subscription ${JSON.stringify([origin, id])}`, holder: `origin ${origin}` };
}
