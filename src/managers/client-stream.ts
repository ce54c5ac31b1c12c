import { SessionManagerError } from '../errors.ts';
import { CloseCode, decodeFrame, type Frame } from '../protocol.ts';
import type { Opened } from '../routing/open-socket.ts';
import { reattachPauseMs } from '../routing/retry.ts';
import { ClientQueue } from './client-queue.ts';
import { KEEP_ALIVE } from './keep-alive.ts';
import { isOfThisRequest } from './this-request.ts';

/** How often an ended stream looks whether its client has read the rest, in milliseconds. */
const DRAIN_CHECK_MS = 250;

/** How long a client may take to read the rest of an ended stream, in milliseconds. */
const DRAIN_LIMIT_MS = 30_000;

/** A socket that lived as long as this, in milliseconds, shows that the object is well again. */
const SETTLED_MS = 10_000;

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
	/** Pause between two keep-alive comments, in milliseconds. */
	keepAliveMs: number;
	/** How much may wait for a client that does not read, in bytes. */
	maxQueuedBytes: number;
	/** Called each time the stream may have missed something for good. */
	onGap(): void;
	/** Called when a client was cut off because it does not read. */
	onCutOff(): void;
	/** Called once, when nothing more can happen on the response. */
	onEnd(): void;
}

/**
 * One GET that a client holds open: what comes in on the socket goes out on the response, with a comment from
 * time to time, which keeps proxies from cutting it and is the only way to notice a client that vanished. Where the object
 * goes away (a deploy), it goes on with a new socket, from the place where it was.
 *
 * Socket, timers and response belong to the request that made them.
 */
export class ClientStream {
	/** Names this stream's claim and sockets in the object. */
	readonly connectionId = crypto.randomUUID();
	#controller: StreamController;
	#hooks: StreamHooks;
	#encoder = new TextEncoder();
	#queue = new ClientQueue();
	/** `undefined` until the stream is open. */
	#socket: WebSocket | undefined;
	#isConnecting = true;
	#stopTimer = () => {};
	#state: 'live' | 'draining' | 'ended' = 'live';
	/** What the controller wants while nothing is queued. */
	#capacity: number;
	#eventIdPrefix: string | undefined;
	#lastSeq = 0;
	/** Tries to come back since the object was well. */
	#tries = 0;

	/** @param controller of a response on which nothing was written yet */
	constructor(controller: StreamController, hooks: StreamHooks) {
		this.#controller = controller;
		this.#hooks = hooks;
		this.#capacity = controller.desiredSize ?? 0;
	}

	/**
	 * Connect, and begin to carry messages.
	 * @param lastEventId the last event that the client has, as it said
	 */
	async open(lastEventId: string | undefined): Promise<void> {
		this.#carry(await this.#hooks.connect(lastEventId, false));
		if (this.#state !== 'live') return;
		this.#every(this.#hooks.keepAliveMs, () => this.#write(KEEP_ALIVE, undefined));
	}

	/** Whether a socket is being opened for it, the first or another one. */
	get isConnecting(): boolean {
		return this.#isConnecting;
	}

	/**
	 * Whether this is the stream whose client has just cancelled it. The transports' `cancel()` and their HTTP DELETE
	 * make the same call on the manager; this tells them apart.
	 */
	get isBeingCancelled(): boolean {
		return (!this.#socket || isOfThisRequest(this.#socket)) && this.isCancelled;
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
		this.#socket?.close(CloseCode.clientGone, String(this.#queue.takenSeq ?? ''));
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

	#carry({ socket, log }: Opened): void {
		this.#socket = socket;
		this.#isConnecting = false;
		if (log) {
			if (log.eventIdPrefix !== this.#eventIdPrefix) this.#lastSeq = log.after;
			this.#eventIdPrefix = log.eventIdPrefix;
			this.#queue.begin(log.after);
			if (!log.recovered) this.#hooks.onGap();
		}
		const since = Date.now();
		// A broken connection may tell of its end twice.
		let isGone = false;
		const onGone = (code: number) => {
			if (isGone) return;
			isGone = true;
			this.#isConnecting = true;
			if (Date.now() - since >= SETTLED_MS) this.#tries = 0;
			if (ENDS.has(code)) this.end();
			else void this.#reconnect();
		};
		socket.addEventListener('message', ({ data }) => this.#take(decodeFrame(data)));
		socket.addEventListener('close', ({ code }) => onGone(code));
		socket.addEventListener('error', () => onGone(1006));
		socket.accept();
		if (!this.isCancelled) return;
		socket.close(CloseCode.clientGone, String(this.#queue.takenSeq ?? ''));
		this.finish();
	}

	/** Come back to an object that went away, for as long as the client is there. */
	async #reconnect(): Promise<void> {
		while (this.#state === 'live') {
			this.#tries++;
			await scheduler.wait(reattachPauseMs(this.#tries));
			try {
				const opened = await this.#hooks.connect(this.#lastEventId, true);
				this.#carry(opened);
				return;
			} catch (error) {
				const { code } = SessionManagerError.from(error) ?? {};
				if (code === 'STREAM_SUPERSEDED' || code === 'STREAM_DETACHED') this.end();
			}
		}
	}

	get #lastEventId(): string | undefined {
		return this.#eventIdPrefix === undefined ? undefined : this.#eventIdPrefix + this.#lastSeq;
	}

	/** What arrives a second time after a reconnect is written once. */
	#take(frame: Frame | undefined): void {
		if (!frame) return;
		const { seq, data } = frame;
		if (seq === undefined || this.#eventIdPrefix === undefined) {
			this.#write(this.#encoder.encode(data), undefined);
		} else if (seq > this.#lastSeq) {
			this.#lastSeq = seq;
			this.#write(this.#encoder.encode(`id: ${this.#eventIdPrefix}${seq}\n${data}`), seq);
		}
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
		this.#queue.keep(this.#capacity - (this.#controller.desiredSize ?? 0));
		if (this.#queue.bytes > Math.max(this.#hooks.maxQueuedBytes, chunk.byteLength)) this.#cutOff();
	}

	/** An error, because a close would wait for the client for ever, and be told as if all had been read. */
	#cutOff(): void {
		this.#hooks.onCutOff();
		this.#socket?.close(CloseCode.clientGone, String(this.#queue.takenSeq ?? ''));
		this.#controller.error(new Error('The client does not read its stream.'));
		this.finish();
	}

	/** Replaces what was done until now. */
	#every(intervalMs: number, work: () => void): void {
		this.#stopTimer();
		const timer = setInterval(work, intervalMs);
		this.#stopTimer = () => clearInterval(timer);
	}
}
