import { CloseCode } from '../protocol.ts';
import { KEEP_ALIVE } from './keep-alive.ts';

/** How often an ended stream looks whether its client has read the rest, in milliseconds. */
const DRAIN_CHECK_MS = 250;

/** How long a client may take to read the rest of an ended stream, in milliseconds. */
const DRAIN_LIMIT_MS = 30_000;

/** The part of a `ReadableStreamDefaultController` that a stream needs. */
export type StreamController = Pick<
	ReadableStreamDefaultController<Uint8Array>,
	'enqueue' | 'close' | 'error' | 'desiredSize'
>;

/**
 * One GET that a client holds open: what comes in on the socket goes out on the response, with a comment from
 * time to time, which keeps proxies from cutting it and is the only way to notice a client that vanished.
 *
 * Socket, timers and response belong to the request that made them.
 */
export class ClientStream {
	/** Names this stream's claim and socket in the object. */
	readonly connectionId = crypto.randomUUID();
	#controller: StreamController;
	#onEnd: () => void;
	#encoder = new TextEncoder();
	/** `undefined` until the stream is open. */
	#socket: WebSocket | undefined;
	#stopTimer = () => {};
	#state: 'live' | 'draining' | 'ended' = 'live';
	/** What the controller wants while nothing is queued. */
	#capacity: number | null;

	/**
	 * @param controller of a response on which nothing was written yet
	 * @param onEnd called once, when nothing more can happen on the response
	 */
	constructor(controller: StreamController, onEnd: () => void) {
		this.#controller = controller;
		this.#capacity = controller.desiredSize;
		this.#onEnd = onEnd;
	}

	/**
	 * Begin to carry messages.
	 * @param socket not accepted yet
	 * @param keepAliveMs pause between two comments, in milliseconds
	 */
	open(socket: WebSocket, keepAliveMs: number): void {
		this.#socket = socket;
		socket.addEventListener('message', ({ data }) => {
			if (typeof data === 'string') this.#write(this.#encoder.encode(data));
		});
		socket.addEventListener('close', () => this.end());
		socket.addEventListener('error', () => this.end());
		socket.accept();
		if (this.isCancelled) {
			socket.close(CloseCode.clientGone, 'the client went away while its stream was opening');
			this.finish();
		} else {
			this.#every(keepAliveMs, () => this.#write(KEEP_ALIVE));
		}
	}

	get isOpening(): boolean {
		return this.#socket === undefined;
	}

	/**
	 * Whether this is the stream whose client has just cancelled it. The transports' `cancel()` and their HTTP DELETE
	 * make the same call on the manager; this tells them apart.
	 */
	get isBeingCancelled(): boolean {
		return this.#isOfThisRequest() && this.isCancelled;
	}

	/** A cancelled response wants nothing more. So does one with a full queue, and only a write tells them apart. */
	get isCancelled(): boolean {
		if (this.#state === 'ended') return true;
		if (this.#controller.desiredSize !== 0) return this.#controller.desiredSize === null;
		try {
			this.#controller.enqueue(new Uint8Array(0));
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
		this.#socket?.close(CloseCode.clientGone, 'the response has ended');
		let checksLeft = DRAIN_LIMIT_MS / DRAIN_CHECK_MS;
		const check = () => {
			const { desiredSize } = this.#controller;
			if (desiredSize === null || desiredSize === this.#capacity) this.finish();
			else if (checksLeft-- <= 0) this.#giveUp();
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
		this.#onEnd();
	}

	/** An error, because a close would wait for the client for ever, and be told as if all had been read. */
	#giveUp(): void {
		this.#controller.error(new Error('The client does not read its stream.'));
		this.finish();
	}

	#write(chunk: Uint8Array): void {
		if (this.#state !== 'live') return;
		try {
			this.#controller.enqueue(chunk);
		} catch {
			// The client is gone. Closing the socket is what tells the object.
			this.finish();
		}
	}

	/** Replaces what was done until now. */
	#every(pauseMs: number, work: () => void): void {
		this.#stopTimer();
		const timer = setInterval(work, pauseMs);
		this.#stopTimer = () => clearInterval(timer);
	}

	/** The runtime refuses one request access to another's socket, even to its state. */
	#isOfThisRequest(): boolean {
		try {
			void this.#socket?.readyState;
			return true;
		} catch {
			return false;
		}
	}
}
