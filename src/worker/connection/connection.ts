import * as channels from '../../diagnostics/channels.ts';
import type { StreamKind } from '../../diagnostics/events.ts';
import { publishFailure } from '../../diagnostics/failure.ts';
import { SessionManagerError, type SessionManagerErrorCode } from '../../errors.ts';
import type { SubscriptionEnd } from '../../wire/arguments.ts';
import { CloseCode } from '../../wire/close-codes.ts';
import type { LogPosition } from '../../wire/answers.ts';
import { isOfThisRequest } from '../request/this-request.ts';
import { reattachPauseMs } from '../routing/retry.ts';
import { discard, letGo, type Opened, SubscriptionRefused } from './open-socket.ts';

/** How long a socket must have been open, in milliseconds, for the pauses between tries to begin anew. */
const SETTLED_MS = 10_000;

/** The close codes that end a connection. After any other one the object is away, and the connection comes back. */
const ENDS: Record<number, SubscriptionEnd> = {
	[CloseCode.superseded]: 'cancelled',
	[CloseCode.detached]: 'cancelled',
	[CloseCode.foreignAttachment]: 'cancelled',
	[CloseCode.unexpectedMessage]: 'cancelled',
	[CloseCode.subscriptionClosed]: 'closed',
	[CloseCode.subscriptionCancelled]: 'cancelled',
};

/**
 * After how many failed tries in a row an error ends a connection: after one where trying again cannot help, and after
 * five, at most 15 seconds, where others would have to leave. Any other error means that the object is away for a while.
 */
const TRIES: Partial<Record<SessionManagerErrorCode, number>> = {
	STREAM_SUPERSEDED: 1,
	STREAM_DETACHED: 1,
	INVALID_SESSION_ID: 1,
	INVALID_ARGUMENT: 1,
	SQLITE_MISSING: 1,
	OBJECT_FULL: 5,
	TOO_MANY_SUBSCRIPTIONS: 5,
	BINDING_WRONG_KIND: 5,
	OWNER_LIMIT_REACHED: 5,
};

/** What a connection is, for its events. */
export interface Subject {
	side: 'worker';
	stream: StreamKind;
	home: string | undefined;
	session: string | undefined;
}

/** Whether a stream was refused because a newer one took its place, or because its session has ended. */
export function isOvertaken(error: unknown): boolean {
	const { code } = SessionManagerError.from(error) ?? {};
	return code === 'STREAM_SUPERSEDED' || code === 'STREAM_DETACHED';
}

/**
 * Receives the events for one client. When the object goes away (a deploy), it opens a new socket by itself, at the
 * position that it has reached, and drops an event that arrives a second time.
 *
 * All its sockets and timers belong to the request that made it.
 */
export abstract class Connection {
	/** Identifies the connection in the object, across its sockets. */
	readonly connectionId = crypto.randomUUID();
	#state: 'opening' | 'open' | 'paused' | 'away' | 'closed' = 'opening';
	/** The newest socket. */
	#opened: Opened | undefined;
	/** The position of the last event that the client took, set by {@link close}. */
	#taken: number | undefined;
	/** Why it is closed for good. */
	#closeCode: number = CloseCode.clientGone;
	#eventIdPrefix: string | undefined;
	#lastSeq = 0;
	/** How long it took to open the newest socket, in milliseconds. */
	#connectedInMs = 0;
	/** Tries to come back since a socket was open for {@link SETTLED_MS}. */
	#tries = 0;

	/** Open a socket for the events after `lastEventId`; `resume`: the connection has had a socket before. */
	protected abstract connect(lastEventId: string | undefined, resume: boolean): Promise<Opened>;
	/** A socket was opened, the first or a later one. */
	protected abstract onOpen(log: LogPosition | undefined): void;
	/** @param frame position and payload @param seq the position, in a log */
	protected abstract onEvent(frame: string, seq: number | undefined): void;
	/** There is nothing more for this client up to a position. */
	protected abstract onPosition(seq: number): void;
	/** The object has sent as many bytes as `window` allows: call {@link comeBack} for more. */
	protected abstract onPause(): void;
	/** A try to come back failed; `isLast` where there will be no other. */
	protected abstract onFailure(error: unknown, failures: number, isLast: boolean): void;
	protected abstract onEnd(end: SubscriptionEnd): void;
	/** Asked only where somebody listens. */
	abstract get subject(): Subject;

	/** Open the first socket. The runtime keeps what arrives on it until {@link accept}. */
	protected async connectFirst(lastEventId: string | undefined): Promise<void> {
		this.#opened = await this.#connect(lastEventId, false);
	}

	/** Begin to receive. */
	protected accept(): void {
		if (this.#opened) this.#carry(this.#opened, false);
	}

	/** Close for good. @param taken the position of the last event that the client took @param code why */
	protected close(taken: number | undefined, code: number = CloseCode.clientGone): void {
		if (this.#state === 'closed') return;
		if (this.#opened && this.#state === 'open') letGo(this.#opened.socket, taken, code);
		else if (this.#opened && this.#state === 'opening') discard(this.#opened, taken, code);
		this.#taken = taken;
		this.#closeCode = code;
		this.#state = 'closed';
	}

	/** Close the socket until {@link comeBack}; events wait in the log. @param taken as for {@link close} */
	protected pause(taken: number | undefined): void {
		if (!this.#opened || this.#state !== 'open') return;
		this.#state = 'paused';
		letGo(this.#opened.socket, taken);
	}

	/** Open another socket at once, after {@link pause} or {@link onPause}. */
	protected comeBack(): void {
		if (this.#state !== 'paused') return;
		this.#state = 'away';
		void this.#reconnect(0);
	}

	/** Whether it is closed for good. */
	protected get isClosed(): boolean {
		return this.#state === 'closed';
	}

	/** Whether it has a socket. */
	protected get isOpen(): boolean {
		return this.#state === 'open';
	}

	/** Whether the code that asks runs in the request of this connection, as far as that can be told. */
	protected get isOfThisRequest(): boolean {
		return !this.#opened || isOfThisRequest(this.#opened.socket);
	}

	async #connect(lastEventId: string | undefined, resume: boolean): Promise<Opened> {
		const since = Date.now();
		const opened = await this.connect(lastEventId, resume);
		this.#connectedInMs = Date.now() - since;
		return opened;
	}

	#carry(opened: Opened, isBack: boolean): void {
		if (this.#state === 'closed') {
			discard(opened, this.#taken, this.#closeCode);
			return;
		}
		const { socket, log } = opened;
		this.#opened = opened;
		this.#state = 'open';
		if (log && log.eventIdPrefix !== this.#eventIdPrefix) {
			this.#eventIdPrefix = log.eventIdPrefix;
			this.#lastSeq = log.after;
		}
		const since = Date.now();
		const seqBefore = this.#lastSeq;
		const onGone = (code: number) => {
			// A broken socket may fire both `error` and `close`, and a paused one fires `close`, too.
			if (this.#opened !== opened || this.#state !== 'open') return;
			this.#state = 'away';
			socket.close();
			if (Date.now() - since >= SETTLED_MS) this.#tries = 0;
			const end = ENDS[code];
			if (code === CloseCode.superseded) this.#publishSuperseded();
			if (end !== undefined) this.#end(end);
			else if (code === CloseCode.windowFull && this.#lastSeq > seqBefore) {
				this.#state = 'paused';
				this.onPause();
			} else void this.#reconnect(this.#nextPauseMs(undefined));
		};
		socket.addEventListener('message', ({ data }) => {
			if (this.#opened === opened && this.#state === 'open') this.#take(data);
		});
		socket.addEventListener('close', ({ code }) => onGone(code));
		socket.addEventListener('error', () => onGone(1006));
		socket.accept();
		const recovered = log?.recovered ?? true;
		if (channels.attached.hasSubscribers) {
			const durationMs = this.#connectedInMs;
			channels.attached.publish({ ...this.subject, recovered, isBack, durationMs });
		}
		if (!recovered && channels.gap.hasSubscribers) channels.gap.publish(this.subject);
		this.onOpen(log);
	}

	/** A try has failed, or the socket was lost: there will be another. */
	#nextPauseMs(code: SessionManagerErrorCode | undefined): number {
		const pauseMs = reattachPauseMs(++this.#tries);
		if (channels.retry.hasSubscribers) {
			const { stream: _, ...where } = this.subject;
			channels.retry.publish({ ...where, of: 'stream', tries: this.#tries, pauseMs, code });
		}
		return pauseMs;
	}

	/** Tell that there will be no other try: a newer stream took its place, or it failed for good. */
	publishLast(error: unknown): void {
		if (SessionManagerError.from(error)?.code === 'STREAM_SUPERSEDED') this.#publishSuperseded();
		else publishFailure(error, this.subject);
	}

	#publishSuperseded(): void {
		if (channels.superseded.hasSubscribers) channels.superseded.publish(this.subject);
	}

	/** Open another socket, however often it takes. */
	async #reconnect(pauseMs: number): Promise<void> {
		let failures = 0;
		let failed: SessionManagerErrorCode | undefined;
		for (;;) {
			if (pauseMs > 0) await scheduler.wait(pauseMs);
			if (this.#state !== 'away') return;
			try {
				this.#carry(await this.#connect(this.lastEventId, true), true);
				return;
			} catch (error) {
				const code = SessionManagerError.from(error)?.code ?? 'OBJECT_FAILED';
				failures = code === failed ? failures + 1 : 1;
				failed = code;
				const isLast = failures >= (TRIES[code] ?? Infinity);
				if (!isOvertaken(error)) this.onFailure(error, failures, isLast);
				if (isLast) {
					this.publishLast(error);
					const isClosed = error instanceof SubscriptionRefused && error.end === 'closed';
					this.#end(isClosed ? 'closed' : 'cancelled');
					return;
				}
			}
			pauseMs = this.#nextPauseMs(failed);
		}
	}

	#end(end: SubscriptionEnd): void {
		if (this.#state === 'closed') return;
		this.#state = 'closed';
		this.onEnd(end);
	}

	/** The last event that was passed on, or after which there was nothing for this client. `undefined` without a log. */
	protected get lastEventId(): string | undefined {
		return this.#eventIdPrefix === undefined ? undefined : this.#eventIdPrefix + this.#lastSeq;
	}

	/** Reads a frame without `decodeFrame`: this runs for each message of each stream, and copies no payload. */
	#take(frame: unknown): void {
		if (typeof frame !== 'string') return;
		const end = frame.indexOf('\n');
		const isEvent = end < frame.length - 1;
		if (end === 0 || this.#eventIdPrefix === undefined) {
			if (end >= 0 && isEvent) this.onEvent(frame, undefined);
			return;
		}
		const seq = Number(frame.slice(0, end));
		if (end < 0 || !Number.isSafeInteger(seq)) return;
		if (isEvent) {
			if (seq <= this.#lastSeq) return;
			this.#lastSeq = seq;
			this.onEvent(frame, seq);
		} else {
			this.#lastSeq = Math.max(seq, this.#lastSeq);
			this.onPosition(this.#lastSeq);
		}
	}
}
