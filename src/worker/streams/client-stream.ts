import { SessionManagerError } from '../../errors.ts';
import { CloseCode } from '../../wire/protocol.ts';
import type { Opened } from '../connection/open-socket.ts';
import type { LogPosition } from '../../wire/answers.ts';
import { ClientQueue } from './client-queue.ts';
import { Connection } from '../connection/connection.ts';
import { KEEP_ALIVE } from './keep-alive.ts';

/** How often it is looked whether a client has read the rest of an ended stream, in milliseconds. */
const DRAIN_CHECK_MS = 250;

/** The same for a stream that goes on: soon, and then less and less often. */
const FIRST_READ_CHECK_MS = 10;
const LAST_READ_CHECK_MS = 1_000;

/** How long a client may take to read the rest of an ended stream, in milliseconds. */
const DRAIN_LIMIT_MS = 30_000;

/** Which close codes end a stream. After any other the object went away, and the stream goes after it. */
const ENDS = new Set<number>([
	CloseCode.superseded,
	CloseCode.detached,
	CloseCode.foreignAttachment,
	CloseCode.unexpectedMessage,
]);

/** The part of a `ReadableStreamDefaultController` that a stream needs. */
export type StreamController = Pick<
	ReadableStreamDefaultController<Uint8Array>,
	'enqueue' | 'close' | 'error' | 'desiredSize'
>;

/** What a stream is given by its manager. */
export interface StreamHooks {
	/** Open a socket for what comes after an event; `resume` where the stream had one before. */
	connect(lastEventId: string | undefined, resume: boolean): Promise<Opened>;
	/** The client went away; tell the object how far it came. */
	leave(position: number | undefined): Promise<void>;
	/** Pause between two keep-alive comments, in milliseconds. */
	keepAliveMs: number;
	/** How much may wait for a client that does not read, in bytes. */
	maxQueuedBytes: number;
	/** What follows the `id` line of an event that has no message, so that the client has an id to come back with. */
	primingEvent: string | undefined;
	/** Called each time the stream may have missed something for good; must not throw. */
	onGap(): void;
	/** Called when a client was cut off because it does not read; must not throw. */
	onCutOff(): void;
	/** Called once, when nothing more can happen on the response. */
	onEnd(): void;
}

/**
 * One GET that a client holds open: what comes in on the socket goes out on the response, with a comment from
 * time to time, which keeps proxies from cutting it and is the only way to notice a client that vanished.
 *
 * Connection, timers and response belong to the request that made them.
 */
export class ClientStream {
	/** Names this stream's claim and sockets in the object. */
	readonly connectionId = crypto.randomUUID();
	/** Settles when the object knows that the client is gone, where it has to be told by a call. */
	left = Promise.resolve();
	#controller: StreamController;
	#hooks: StreamHooks;
	#encoder = new TextEncoder();
	#queue = new ClientQueue();
	#connection: Connection<'ended'>;
	#stopTimer = () => {};
	#isWatched = false;
	#state: 'live' | 'draining' | 'ended' = 'live';
	/** What the controller wants while nothing is queued. */
	#capacity: number;

	/** @param controller of a response on which nothing was written yet */
	constructor(controller: StreamController, hooks: StreamHooks) {
		this.#controller = controller;
		this.#hooks = hooks;
		this.#capacity = controller.desiredSize ?? 0;
		this.#connection = new Connection({
			connect: (lastEventId, resume) => hooks.connect(lastEventId, resume),
			endOf: (code) => (ENDS.has(code) ? 'ended' : undefined),
			onOpen: (log) => this.#opened(log),
			onEvent: ({ data, seq, id }) =>
				this.#writeText(id === undefined ? data : `id: ${id}\n${data}`, seq),
			onPlace: ({ seq, id }) => {
				if (seq !== undefined) this.#queue.moveTo(seq);
				const { primingEvent } = hooks;
				if (primingEvent !== undefined) this.#writeText(`id: ${id}\n${primingEvent}`, seq);
			},
			onFailure: (error) => (isOvertaken(error) ? 'ended' : undefined),
			onEnd: () => this.end(),
		});
	}

	/**
	 * Connect, and begin to carry messages.
	 * @param lastEventId the last event that the client has, as it said
	 */
	async open(lastEventId: string | undefined): Promise<void> {
		await this.#connection.open(lastEventId);
		this.#connection.accept();
		if (this.#state !== 'live') return;
		this.#every(this.#hooks.keepAliveMs, () => this.#write(KEEP_ALIVE, undefined));
	}

	/**
	 * Whether this is the stream whose client has just cancelled it. The transports' `cancel()` and their HTTP DELETE
	 * make the same call on the manager; this tells them apart.
	 */
	get isBeingCancelled(): boolean {
		return this.#connection.isOfThisRequest && this.isCancelled;
	}

	/** A cancelled response wants nothing more. So does one with a full queue, and only a write tells them apart. */
	get isCancelled(): boolean {
		if (this.#state === 'ended') return true;
		if (this.#controller.desiredSize !== 0) return this.#controller.desiredSize === null;
		try {
			this.#controller.enqueue(new Uint8Array(0));
			this.#queue.add(0, undefined);
			return false;
		} catch {
			return true;
		}
	}

	/**
	 * Finish the response once the client has read what is queued for it. It stays open until then, because a response
	 * that was closed before it is empty can still be cancelled, and no one could tell that late cancel from a DELETE.
	 */
	end(): void {
		if (this.#state !== 'live') return;
		this.#state = 'draining';
		this.#stopTimer();
		this.#connection.close(this.#queue.takenSeq);
		let checksLeft = DRAIN_LIMIT_MS / DRAIN_CHECK_MS;
		const check = () => {
			const { desiredSize } = this.#controller;
			if (desiredSize === null || desiredSize === this.#capacity) this.finish();
			else if (checksLeft-- <= 0) this.#cutOff();
		};
		this.#every(DRAIN_CHECK_MS, check);
		check();
	}

	/** Finish at once: the client is gone, or has read everything. */
	finish(): void {
		// Where the socket cannot tell it, or may be gone already, a call does.
		if (this.#state === 'live' && !(this.#connection.isOpen && this.#queue.isEmpty)) {
			this.left = this.#hooks.leave(this.#queue.takenSeq);
			this.left.catch(() => {});
		}
		this.end();
		if (this.#state === 'ended') return;
		this.#state = 'ended';
		this.#stopTimer();
		try {
			this.#controller.close();
		} catch {
			// The client cancelled the response: there is nothing left to close.
		}
		this.#hooks.onEnd();
	}

	#opened(log: LogPosition | undefined): void {
		if (log) this.#queue.begin(log.after);
		if (this.isCancelled) this.finish();
		else if (log?.recovered === false) this.#hooks.onGap();
	}

	#writeText(text: string, seq: number | undefined): void {
		this.#write(this.#encoder.encode(text), seq);
	}

	#write(chunk: Uint8Array, seq: number | undefined): void {
		if (this.#state !== 'live') return;
		try {
			this.#controller.enqueue(chunk);
		} catch {
			// The client is gone. Closing the socket is what tells the object.
			this.finish();
			return;
		}
		this.#queue.add(chunk.byteLength, seq);
		this.#lookAtQueue();
		if (this.#queue.bytes - chunk.byteLength >= this.#hooks.maxQueuedBytes) this.#cutOff();
		else void this.#watchQueue();
	}

	/** As long as something waits, nothing but looking tells that it was read. */
	async #watchQueue(): Promise<void> {
		if (this.#isWatched) return;
		this.#isWatched = true;
		for (let pauseMs = FIRST_READ_CHECK_MS; !this.#queue.isEmpty; pauseMs *= 2) {
			await scheduler.wait(Math.min(pauseMs, LAST_READ_CHECK_MS));
			// What a cancelled response wants says nothing of what was read.
			if (this.#state !== 'live' || this.isCancelled) break;
			this.#lookAtQueue();
		}
		this.#isWatched = false;
	}

	#lookAtQueue(): void {
		this.#queue.keep(this.#capacity - (this.#controller.desiredSize ?? 0));
	}

	/** An error, because a close would wait for the client for ever, and be told as if all had been read. */
	#cutOff(): void {
		const wasLive = this.#state === 'live';
		this.#connection.close(this.#queue.takenSeq);
		this.#controller.error(new Error('The client does not read its stream.'));
		this.finish();
		if (wasLive) this.#hooks.onCutOff();
	}

	/** Replaces what was done until now. */
	#every(intervalMs: number, work: () => void): void {
		this.#stopTimer();
		const timer = setInterval(work, intervalMs);
		this.#stopTimer = () => clearInterval(timer);
	}
}

/** Whether a stream was refused because a newer one, or the end of its session, came first. */
export function isOvertaken(error: unknown): boolean {
	const { code } = SessionManagerError.from(error) ?? {};
	return code === 'STREAM_SUPERSEDED' || code === 'STREAM_DETACHED';
}
