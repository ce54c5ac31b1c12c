import { CloseCode, encodeFrame, STREAM_TAG } from '../../wire/protocol.ts';
import { type Attachment, readAttachment, writeAttachment } from '../sockets/attachment.ts';
import type { History } from '../log/history.ts';
import type { Registry } from './registry.ts';
import type { ReplayStart } from '../log/replay.ts';
import type { SentIds } from '../log/sent-ids.ts';
import { acceptSocket, deliver, type OpenSocket, openSockets } from '../sockets/sockets.ts';

type StreamAttachment = Extract<Attachment, { kind: 'stream' }>;

/** A payload, to whom it goes (`undefined`: to all), and the id by which a retry is known. */
export interface Broadcast {
	sessions: readonly string[] | undefined;
	data: string;
	id: string | undefined;
}

/** The answer of `SyncLayer.broadcast`. */
export interface BroadcastResult {
	/** To how many open streams the payload was handed. */
	delivered: number;
	/**
	 * For how many sessions without an open stream it waits in the log: of the named ones, known or not; else of those that
	 * are known.
	 */
	waiting: number;
	/**
	 * How many will not get it: of the named ones those without an open stream, else of those that are known, where the log
	 * is switched off (then none is known) or the payload is over the 2 MB that it keeps.
	 */
	missed: number;
}

/** The session streams of one object: hibernating sockets that are found by session id. */
export class Streams {
	#ctx: DurableObjectState;
	#history: History | undefined;
	#registry: Registry;
	#sent: SentIds;

	constructor(
		ctx: DurableObjectState,
		history: History | undefined,
		registry: Registry,
		sent: SentIds,
	) {
		this.#ctx = ctx;
		this.#history = history;
		this.#registry = registry;
		this.#sent = sent;
		// One that was replaced by a deploy was not told of the end of its streams.
		if (ctx.getWebSockets(STREAM_TAG).length > 0) return;
		history?.servedAll();
		registry.releaseAll(Date.now());
	}

	/** The open streams with a tag: those of a session id, or all. */
	find(tag: string): OpenSocket<'stream'>[] {
		return openSockets(this.#ctx, 'stream', tag, (socket) => {
			const session = this.#ctx.getTags(socket).find((of) => of !== STREAM_TAG);
			if (session === undefined) return;
			this.#history?.cutOff(session);
			this.#registry.release(session, Date.now());
		});
	}

	/**
	 * Take over the object's end of a session's socket, hand it what the session missed, and end an older stream of the
	 * session. One synchronous step: at no time are there two streams, or none where there was one.
	 * @returns where the stream starts
	 * @throws `OBJECT_FULL`
	 */
	open(
		socket: WebSocket,
		attachment: StreamAttachment,
		lastEventId: string | undefined,
	): ReplayStart | undefined {
		const { sessionId, connectionId } = attachment;
		const older = this.find(sessionId);
		acceptSocket(this.#ctx, socket, [sessionId, STREAM_TAG]);
		try {
			writeAttachment(socket, attachment);
			const begin = () => {
				this.#registry.hold(sessionId);
				return this.#history?.serve(sessionId, connectionId, lastEventId, (event) =>
					deliver(socket, encodeFrame(event)),
				);
			};
			const start = this.#history ? this.#history.atOnce(begin) : begin();
			for (const stream of older) {
				stream.socket.close(CloseCode.superseded, 'superseded by a newer stream');
			}
			return start;
		} catch (error) {
			socket.close(1011, 'the stream could not be opened');
			throw error;
		}
	}

	/** Send to the named sessions, or to all. */
	broadcast({ sessions, data, id }: Broadcast): BroadcastResult {
		if (this.#sent.has(id)) return { delivered: 0, waiting: 0, missed: 0 };
		if (sessions?.length === 0) return { delivered: 0, waiting: 0, missed: 0 };
		const audience = (sessions ?? [STREAM_TAG]).map((tag) => {
			this.#noteClosing(tag);
			return this.find(tag);
		});
		const waits = sessions?.some((session, index) => {
			return audience[index]?.length === 0 && this.#history?.isNew(session);
		});
		const { seq, isKept = false } =
			this.#history?.append(
				sessions ? { kind: 'sessions', sessions, waits: waits === true } : { kind: 'all' },
				data,
				id,
			) ?? {};
		this.#sent.add(id);
		const frame = encodeFrame({ seq, data });
		const handed = audience.map((streams) => this.#send(streams, frame, seq));
		const delivered = sessions ? handed.filter((streams) => streams > 0).length : sum(handed);
		const away = sessions ? sessions.length - delivered : (this.#history?.waiting ?? 0);
		return isKept
			? { delivered, waiting: away, missed: 0 }
			: { delivered, waiting: 0, missed: away };
	}

	/** A socket is gone. @param position up to which event the other end took what it was handed, if it said so */
	closed(
		socket: WebSocket,
		{ sessionId, connectionId }: StreamAttachment,
		position: number | undefined,
	): void {
		// The connection may have come back on another socket before the end of this one was known.
		const others = this.find(sessionId).filter((open) => open.socket !== socket);
		const isBack = others.some(({ attachment }) => attachment.connectionId === connectionId);
		if (!isBack) this.#history?.served(sessionId, connectionId, position);
		if (others.length === 0) this.#registry.release(sessionId, Date.now());
	}

	/** @returns how many streams the frame was handed to */
	#send(streams: OpenSocket<'stream'>[], frame: string, seq: number | undefined): number {
		return streams.filter(({ socket, attachment }) => {
			if (deliver(socket, frame)) return true;
			if (seq !== undefined) this.closed(socket, attachment, seq - 1);
			return false;
		}).length;
	}

	/** A socket that is closing gets nothing more: what is sent from now on waits. */
	#noteClosing(tag: string): void {
		for (const socket of this.#ctx.getWebSockets(tag)) {
			if (socket.readyState === WebSocket.OPEN) continue;
			const attachment = readAttachment(socket);
			if (attachment?.kind === 'stream') this.closed(socket, attachment, undefined);
		}
	}
}

function sum(numbers: readonly number[]): number {
	return numbers.reduce((total, number) => total + number, 0);
}
