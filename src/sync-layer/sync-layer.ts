import { DurableObject } from 'cloudflare:workers';
import * as v from 'valibot';
import { SessionManagerError } from '../errors.ts';
import { CloseCode, STREAM_TAG, TICKET_TTL_MS } from '../protocol.ts';
import {
	type AttachOptions,
	type DetachOptions,
	type Notification,
	parseAttachOptions,
	parseBroadcast,
	parseDetachOptions,
	parseNotifications,
	parseOptions,
	parseSessionId,
	parseSubscribeOptions,
	parseSubscriptionEnd,
	parseSubscription,
	parseUnsubscribe,
	type SubscribeOptions,
	type SubscriptionEnd,
	type SubscriptionInput,
	type SubscriptionTarget,
} from '../schemas.ts';
import { readAttachment, writeAttachment } from './attachment.ts';
import { deliver, type OpenSocket, openSockets } from './sockets.ts';
import { isTarget, Subscriptions } from './subscriptions.ts';
import { type Claim, TicketOffice } from './ticket-office.ts';
import { errorResponse, readUpgrade, refusal } from './upgrade.ts';

/** Settings of a subclass: `export class MySyncLayer extends SyncLayer { static options = { … } }`. */
export interface SyncLayerOptions {
	/** How many `subscriptions/listen` streams the object takes (default 16,384: half of its sockets). */
	maxSubscriptions?: number;
}

const OptionsSchema = v.strictObject({
	maxSubscriptions: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 16_384),
});

type StreamClaim = Claim & { kind: 'stream'; sessionId: string };
type SubscriptionClaim = Claim & { kind: 'subscription'; subscription: SubscriptionInput };

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
}

/** The answer of {@link SyncLayer.subscribe}. */
export type Subscribed =
	| {
			kind: 'subscribed';
			/** Opens one socket, once, within {@link ticketTtlMs}. */
			ticket: string;
			/** How long the ticket is good for, in milliseconds. */
			ticketTtlMs: number;
	  }
	/** The origin has a subscription of this id already; nothing was changed. */
	| { kind: 'duplicate' }
	/** This connection was ended before, while it was opening or coming back; nothing was changed. */
	| { kind: 'ended'; reason: SubscriptionEnd };

/** The answer of {@link SyncLayer.broadcast}. */
export interface BroadcastResult {
	/** To how many open streams the payload was handed. */
	delivered: number;
	/** How many of the named sessions had no open stream. Always 0 where all were addressed. */
	missed: number;
}

/** The answer of {@link SyncLayer.stats}. */
export interface SyncLayerStats {
	/** Open streams. */
	streams: number;
	/** Sessions that have one. */
	sessions: number;
	/** Open `subscriptions/listen` streams. */
	subscriptions: number;
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

	#options = parseOptions(OptionsSchema, Reflect.get(this.constructor, 'options'), 'SyncLayer');
	#tickets = new TicketOffice<StreamClaim | SubscriptionClaim>();
	#subscriptions = new Subscriptions(this.ctx);

	/**
	 * Claim the one stream that a session has. The newest claim wins: redeeming its ticket closes an older
	 * stream with close code 4001, and an older ticket that is still open is refused from now on.
	 *
	 * @param sessionId 1 to 256 visible ASCII characters (0x21–0x7E); a UUID is made where none is given
	 * @param options `ticket`, `connectionId`: UUIDs that the caller made, so that the upgrade can leave together with
	 * this call, and the stream can be detached before the answer is here
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `STREAM_DETACHED` (of a `connectionId` that was detached before)
	 */
	attach(sessionId?: string, options?: AttachOptions): Attached {
		const session = sessionId === undefined ? crypto.randomUUID() : parseSessionId(sessionId);
		const { ticket = crypto.randomUUID(), connectionId = crypto.randomUUID() } =
			parseAttachOptions(options);
		this.#assertUnused(ticket);
		if (this.#tickets.endOf(connectionId) !== undefined) {
			throw new SessionManagerError(
				'STREAM_DETACHED',
				`the connection ${connectionId} was detached before it was attached.`,
			);
		}
		this.#tickets.issue(ticket, {
			kind: 'stream',
			sessionId: session,
			connectionId,
			...placeOfSession(session),
		});
		return {
			sessionId: session,
			connectionId,
			ticket,
			ticketTtlMs: TICKET_TTL_MS,
			supersedes: this.has(session),
		};
	}

	/**
	 * End a session's stream, open or just being opened.
	 *
	 * @param options `connectionId`: end that stream only, and leave a newer one alone
	 * @returns whether there was one
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`
	 */
	detach(sessionId: string, options?: DetachOptions): boolean {
		const session = parseSessionId(sessionId);
		const { connectionId } = parseDetachOptions(options);
		if (connectionId !== undefined) this.#tickets.noteEnd(connectionId, 'detached');
		let detached = this.#tickets.revoke(placeOfSession(session).place, connectionId);
		for (const { socket, attachment } of this.#streams(session)) {
			if (connectionId !== undefined && attachment.connectionId !== connectionId) continue;
			socket.close(CloseCode.detached, 'detached');
			detached = true;
		}
		return detached;
	}

	/**
	 * Whether the session has an open stream.
	 * @throws `INVALID_SESSION_ID`
	 */
	has(sessionId: string): boolean {
		return this.#streams(parseSessionId(sessionId)).length > 0;
	}

	/**
	 * Send a payload to the named sessions, or to every session with an open stream. A dead socket costs no
	 * other session its message; nothing is sent where an argument is refused.
	 *
	 * @param sessions session ids, each of which gets the payload once; `undefined` for all
	 * @param data the text to put on the streams; tmcp's transports give whole SSE events. At most 32 MiB less
	 * 4 KiB, with the ids (the platform's limit of one RPC call and of one WebSocket message)
	 * @throws `INVALID_ARGUMENT`, `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
	 */
	broadcast(sessions: readonly string[] | undefined, data: string): BroadcastResult {
		const { sessions: named, data: text } = parseBroadcast(sessions, data);
		const handOver = (tag: string) =>
			this.#streams(tag).filter(({ socket }) => deliver(socket, text)).length;
		if (!named) return { delivered: handOver(STREAM_TAG), missed: 0 };
		const delivered = named.filter((session) => handOver(session) > 0).length;
		return { delivered, missed: named.length - delivered };
	}

	/**
	 * Register a `subscriptions/listen` stream (MCP 2026-07-28). Once its ticket is redeemed, the socket gets each
	 * notification that matches, as JSON and in the order of {@link publish}.
	 *
	 * @param subscription request id, origin (which may have one subscription of each id; a string and a number are
	 * different ids) and what it wants to hear of; at most 1 MiB
	 * @param options `ticket`, `connectionId`: UUIDs that the caller made. With the same `connectionId` as before, a
	 * subscription comes back after its object was restarted, and takes its own old place
	 * @throws `INVALID_ARGUMENT`, `TOO_MANY_SUBSCRIPTIONS`
	 */
	subscribe(subscription: SubscriptionInput, options?: SubscribeOptions): Subscribed {
		const parsed = parseSubscription(subscription);
		const { ticket = crypto.randomUUID(), connectionId = crypto.randomUUID() } =
			parseSubscribeOptions(options);
		this.#assertUnused(ticket);
		const reason = this.#tickets.endOf(connectionId);
		if (reason !== undefined) return { kind: 'ended', reason: parseSubscriptionEnd(reason) };
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
			place,
			holder,
		});
		return { kind: 'subscribed', ticket, ticketTtlMs: TICKET_TTL_MS };
	}

	/**
	 * Send notifications to the subscriptions that asked for them, each once and in order.
	 *
	 * @param notifications JSON-RPC notifications, together at most 32 MiB less 4 KiB
	 * @returns how many times a notification was handed to a stream
	 * @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
	 */
	publish(notifications: readonly Notification[]): number {
		return this.#subscriptions.publish(parseNotifications(notifications));
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
		const streams = this.#streams(STREAM_TAG);
		const sessions = new Set(streams.map(({ attachment }) => attachment.sessionId));
		return {
			streams: streams.length,
			sessions: sessions.size,
			subscriptions: this.#subscriptions.count,
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
	 * Of a stream there is nothing to forget: a closed socket is no longer found by its tags. Answering the close is
	 * needed before the compatibility date 2026-04-07 only (`web_socket_auto_reply_to_close`) and does no harm after it.
	 */
	override webSocketClose(socket: WebSocket): void {
		socket.close();
		const attachment = readAttachment(socket);
		if (attachment?.kind === 'subscription') this.#subscriptions.forget(attachment);
	}

	/** A connection that broke ends like one that was closed; the Worker's end sees it too. */
	override webSocketError(socket: WebSocket): void {
		this.webSocketClose(socket);
	}

	/** One synchronous step: at no time are there two streams of a session, or none where there was one. */
	#open(claim: StreamClaim | SubscriptionClaim): Response {
		const { 0: workerEnd, 1: objectEnd } = new WebSocketPair();
		try {
			this.#accept(objectEnd, claim);
		} catch (error) {
			const coded = SessionManagerError.from(error);
			if (coded) return errorResponse(400, coded.code, coded.reason);
			return errorResponse(
				503,
				'OBJECT_FULL',
				`the object takes no further socket (${String(error)}). It holds at most 32,768.`,
			);
		}
		return new Response(null, { status: 101, webSocket: workerEnd });
	}

	#accept(socket: WebSocket, claim: StreamClaim | SubscriptionClaim): void {
		if (claim.kind === 'subscription') {
			this.#subscriptions.open(socket, claim.connectionId, claim.subscription);
			return;
		}
		const { kind, sessionId, connectionId } = claim;
		const older = this.#streams(sessionId);
		this.ctx.acceptWebSocket(socket, [sessionId, STREAM_TAG]);
		writeAttachment(socket, { kind, sessionId, connectionId });
		for (const stream of older) {
			stream.socket.close(CloseCode.superseded, 'superseded by a newer stream');
		}
	}

	/** The open streams with a tag: those of a session id, or all. */
	#streams(tag: string): OpenSocket<'stream'>[] {
		return openSockets(this.ctx, 'stream', tag);
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
		if (this.#subscriptions.count + opening < maxSubscriptions) return;
		throw new SessionManagerError(
			'TOO_MANY_SUBSCRIPTIONS',
			`the object has ${maxSubscriptions} subscriptions, which is its limit. Raise maxSubscriptions in the static options of the class, up to the 32,768 sockets of an object.`,
		);
	}
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
