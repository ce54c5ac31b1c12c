import { DurableObject } from 'cloudflare:workers';
import { SessionManagerError } from '../errors.ts';
import { CloseCode, STREAM_TAG, TICKET_TTL_MS } from '../protocol.ts';
import {
	type AttachOptions,
	type DetachOptions,
	parseAttachOptions,
	parseBroadcast,
	parseDetachOptions,
	parseSessionId,
} from '../schemas.ts';
import { readAttachment, writeAttachment } from './attachment.ts';
import { TicketOffice } from './ticket-office.ts';
import { errorResponse, readUpgrade, refusal } from './upgrade.ts';

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
	#tickets = new TicketOffice();

	/**
	 * Claim the one stream that a session has. The newest claim wins: redeeming its ticket closes an older
	 * stream with close code 4001, and an older ticket that is still open is refused from now on.
	 *
	 * @param sessionId 1 to 256 visible ASCII characters (0x21–0x7E); a UUID is made where none is given
	 * @param options `ticket`: a UUID that the caller made, so that the upgrade can leave together with this call
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`
	 */
	attach(sessionId?: string, options?: AttachOptions): Attached {
		const session = sessionId === undefined ? crypto.randomUUID() : parseSessionId(sessionId);
		const { ticket = crypto.randomUUID() } = parseAttachOptions(options);
		if (this.#tickets.knows(ticket)) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				'attach(sessionId, options): the ticket was used before. Make a new one with crypto.randomUUID(), or leave it out.',
			);
		}
		const connectionId = crypto.randomUUID();
		this.#tickets.issue(ticket, session, connectionId);
		return {
			sessionId: session,
			connectionId,
			ticket,
			ticketTtlMs: TICKET_TTL_MS,
			supersedes: this.#openSockets(session).length > 0,
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
		let detached = this.#tickets.revoke(session, connectionId);
		for (const socket of this.#openSockets(session)) {
			if (connectionId !== undefined && readAttachment(socket)?.connectionId !== connectionId)
				continue;
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
		return this.#openSockets(parseSessionId(sessionId)).length > 0;
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
		const broadcast = parseBroadcast(sessions, data);
		if (!broadcast.sessions) {
			const delivered = deliver(this.#openSockets(STREAM_TAG), broadcast.data);
			return { delivered, missed: 0 };
		}
		const result: BroadcastResult = { delivered: 0, missed: 0 };
		for (const session of broadcast.sessions) {
			if (deliver(this.#openSockets(session), broadcast.data) > 0) result.delivered++;
			else result.missed++;
		}
		return result;
	}

	/** How much the object holds at this moment. Reads every socket: for operators, not for every request. */
	stats(): SyncLayerStats {
		const sockets = this.#openSockets(STREAM_TAG);
		const sessions = new Set(sockets.map((socket) => readAttachment(socket)?.sessionId));
		sessions.delete(undefined);
		return { streams: sockets.length, sessions: sessions.size };
	}

	/**
	 * Turn a ticket of {@link attach} into a WebSocket. A socket cannot be the answer of an RPC call
	 * (https://github.com/cloudflare/workerd/issues/2319), so this is the one request that is not one;
	 * {@link openSocket} makes it. Anything but an upgrade with a valid ticket gets a 4xx and no socket.
	 */
	override async fetch(request: Request): Promise<Response> {
		const upgrade = readUpgrade(request);
		if (upgrade.kind === 'refused') return upgrade.response;
		const redemption = await this.#tickets.redeem(upgrade.ticket, upgrade.sessionId);
		if (redemption.kind === 'refused') return refusal(redemption.reason);
		return this.#open(upgrade.sessionId, redemption.connectionId);
	}

	/** The Worker's end never speaks. One that does is not ours, so it is cut off. */
	override webSocketMessage(socket: WebSocket): void {
		socket.close(CloseCode.unexpectedMessage, 'streams carry messages to the client only');
	}

	/**
	 * Nothing to forget: a closed socket is no longer found by its tags. Answering the close is needed before
	 * the compatibility date 2026-04-07 only (`web_socket_auto_reply_to_close`) and does no harm after it.
	 */
	override webSocketClose(socket: WebSocket): void {
		socket.close();
	}

	/** A connection that broke ends like one that was closed; the Worker's end sees it too. */
	override webSocketError(socket: WebSocket): void {
		socket.close();
	}

	/** One synchronous step, so that at no time two streams of a session are open, and none is lost. */
	#open(sessionId: string, connectionId: string): Response {
		const { 0: workerEnd, 1: objectEnd } = new WebSocketPair();
		const older = this.#openSockets(sessionId);
		try {
			this.ctx.acceptWebSocket(objectEnd, [sessionId, STREAM_TAG]);
		} catch (error) {
			return errorResponse(
				503,
				'OBJECT_FULL',
				`the object takes no further socket (${String(error)}). It holds at most 32,768.`,
			);
		}
		writeAttachment(objectEnd, { kind: 'stream', sessionId, connectionId });
		for (const socket of older) socket.close(CloseCode.superseded, 'superseded by a newer stream');
		return new Response(null, { status: 101, webSocket: workerEnd });
	}

	/** The open sockets with a tag. One whose attachment we did not write is closed, never trusted. */
	#openSockets(tag: string): WebSocket[] {
		return this.ctx.getWebSockets(tag).filter((socket) => {
			if (socket.readyState !== WebSocket.OPEN) return false;
			if (readAttachment(socket)) return true;
			socket.close(CloseCode.foreignAttachment, 'not a socket of this library');
			return false;
		});
	}
}

/** @returns to how many of the sockets the payload was handed */
function deliver(sockets: readonly WebSocket[], data: string): number {
	let delivered = 0;
	for (const socket of sockets) {
		try {
			socket.send(data);
			delivered++;
		} catch {
			// The socket died since we looked. It counts as not delivered, and costs the others nothing.
		}
	}
	return delivered;
}
