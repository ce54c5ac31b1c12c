import { CloseCode, decodeFrame, NOTHING_TAKEN } from '../../wire/protocol.ts';
import type { LogPosition } from '../../wire/answers.ts';
import { discard, type Opened } from './open-socket.ts';
import { reattachPauseMs } from '../routing/retry.ts';
import { isOfThisRequest } from '../request/this-request.ts';

/** A socket that lived as long as this, in milliseconds, shows that the object is well again. */
const SETTLED_MS = 10_000;

/** What comes on a connection. */
export interface ConnectionEvent {
	data: string;
	/** Its place in the log, if it has one. */
	seq: number | undefined;
	/** The same with what names the log. */
	id: string | undefined;
}

/** What a connection is given by what it serves. `End` is how it may end. */
export interface ConnectionHooks<End> {
	/** Open a socket for what comes after an event; `resume` where there was one before. */
	connect(lastEventId: string | undefined, resume: boolean): Promise<Opened | { end: End }>;
	/** Which close codes end it, and how. After any other the object went away, and the connection goes after it. */
	endOf(code: number): End | undefined;
	/** A socket is open, the first or another one. */
	onOpen(log: LogPosition | undefined): void;
	onEvent(event: ConnectionEvent): void;
	/** All up to a place that was for it has come. */
	onPlace(event: Omit<ConnectionEvent, 'data'>): void;
	/** A try to come back failed. @returns how it ends because of that; `undefined` to try again */
	onFailure(error: unknown, failures: number): End | undefined;
	onEnd(end: End): void;
}

/**
 * A socket of the object that comes back. Where the object goes away without an end (a deploy), it takes up a new one by
 * itself, from the place where it was. What arrives a second time after that is told once.
 *
 * All of it belongs to the request that made it.
 */
export class Connection<End> {
	#hooks: ConnectionHooks<End>;
	/** `undefined` until the first one is there. */
	#opened: Opened | undefined;
	#isOpen = false;
	#isClosed = false;
	#taken = NOTHING_TAKEN;
	#eventIdPrefix: string | undefined;
	#lastSeq = 0;
	/** Tries to come back since the object was well. */
	#tries = 0;

	constructor(hooks: ConnectionHooks<End>) {
		this.#hooks = hooks;
	}

	/** Connect. What comes waits until it is accepted. @returns how it ended, where it was not to be */
	async open(lastEventId: string | undefined): Promise<End | undefined> {
		const opened = await this.#hooks.connect(lastEventId, false);
		if ('end' in opened) return opened.end;
		this.#opened = opened;
		return undefined;
	}

	/** Begin to take what comes. */
	accept(): void {
		if (this.#opened) this.#carry(this.#opened);
	}

	/** Nobody is there any more for what comes. @param taken the place of the last event that was taken, if any was */
	close(taken: number | undefined): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		if (taken !== undefined) this.#taken = String(taken);
		if (this.#isOpen) this.#opened?.socket.close(CloseCode.clientGone, this.#taken);
		else if (this.#opened && this.#tries === 0) discard(this.#opened, this.#taken);
	}

	/** Whether it has a socket. */
	get isOpen(): boolean {
		return this.#isOpen;
	}

	/** Whether the code that asks runs in the request of this connection, as far as that can be told. */
	get isOfThisRequest(): boolean {
		return !this.#opened || isOfThisRequest(this.#opened.socket);
	}

	#carry(opened: Opened): void {
		if (this.#isClosed) {
			discard(opened, this.#taken);
			return;
		}
		const { socket, log } = opened;
		this.#opened = opened;
		this.#isOpen = true;
		if (log) {
			if (log.eventIdPrefix !== this.#eventIdPrefix) this.#lastSeq = log.after;
			this.#eventIdPrefix = log.eventIdPrefix;
		}
		const since = Date.now();
		const onGone = (code: number) => {
			// A broken connection may tell of its end twice.
			if (this.#opened !== opened || !this.#isOpen) return;
			this.#isOpen = false;
			socket.close();
			if (Date.now() - since >= SETTLED_MS) this.#tries = 0;
			const end = this.#hooks.endOf(code);
			if (end === undefined) void this.#reconnect();
			else this.#end(end);
		};
		socket.addEventListener('message', ({ data }) => this.#take(data));
		socket.addEventListener('close', ({ code }) => onGone(code));
		socket.addEventListener('error', () => onGone(1006));
		socket.accept();
		this.#hooks.onOpen(log);
	}

	/** Come back, for as long as somebody is there. */
	async #reconnect(): Promise<void> {
		for (let failures = 0; !this.#isClosed;) {
			this.#tries++;
			await scheduler.wait(reattachPauseMs(this.#tries));
			if (this.#isClosed) return;
			try {
				const opened = await this.#hooks.connect(this.#lastEventId, true);
				if ('end' in opened) this.#end(opened.end);
				else this.#carry(opened);
				return;
			} catch (error) {
				const end = this.#hooks.onFailure(error, ++failures);
				if (end === undefined) continue;
				this.#end(end);
				return;
			}
		}
	}

	#end(end: End): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#hooks.onEnd(end);
	}

	get #lastEventId(): string | undefined {
		return this.#eventIdPrefix === undefined ? undefined : this.#eventIdPrefix + this.#lastSeq;
	}

	#take(message: unknown): void {
		const { seq, data } = decodeFrame(message) ?? {};
		if (data === undefined) return;
		if (seq === undefined || this.#eventIdPrefix === undefined) {
			if (data !== '') this.#hooks.onEvent({ data, seq: undefined, id: undefined });
			return;
		}
		if (seq <= this.#lastSeq && data !== '') return;
		this.#lastSeq = Math.max(seq, this.#lastSeq);
		const event = { seq: this.#lastSeq, id: this.#eventIdPrefix + this.#lastSeq };
		if (data === '') this.#hooks.onPlace(event);
		else this.#hooks.onEvent({ ...event, data });
	}
}
