import * as channels from '../../diagnostics/channels.ts';
import { SessionManagerError } from '../../errors.ts';
import type { LogPosition } from '../../wire/answers.ts';
import { Connection, type Subject } from '../connection/connection.ts';
import { lifetimeMs, retryMs } from '../connection/lifetime.ts';
import { type Opened, openStream } from '../connection/open-socket.ts';
import { hold } from '../request/hold.ts';
import { report } from '../request/report.ts';
import type { RequestScope } from '../request/request-scope.ts';
import type { SessionHomes } from '../routing/homes.ts';
import { callObject, type Home, type SyncLayerStub } from '../routing/object.ts';
import { here } from '../here.ts';
import { boundNow, ClientQueue } from './client-queue.ts';
import { KEEP_ALIVE } from './keep-alive.ts';

/** Pause between two checks whether a client has read, in milliseconds. It is halved after each read, and doubled otherwise. */
const FIRST_READ_CHECK_MS = 5;
const LAST_READ_CHECK_MS = 1_000;

/** How long the object may take to note where a stream ended that has lived long enough, in milliseconds. */
const LEAVE_LIMIT_MS = 5_000;

/** How long a client may take to read the rest of an ended stream, in milliseconds. */
const DRAIN_LIMIT_MS = 30_000;

/** Without a log events can wait in the Worker only: a client is cut off when this many times `maxQueuedBytes` wait. */
const BOUNDS_WITHOUT_LOG = 16;

const encoder = new TextEncoder();

/** The part of a `ReadableStreamDefaultController` that a stream needs. */
export type StreamController = Pick<
	ReadableStreamDefaultController<Uint8Array>,
	'enqueue' | 'close' | 'error' | 'desiredSize'
>;

/** Stores something for sessions that must not expire while their streams are open. */
export interface SessionKeeper {
	/** Pause between two calls of `touch` for an open stream, in milliseconds. */
	readonly touchIntervalMs: number;
	/** Renew the expiry of all that is stored for a session, if that is due. */
	touch(id: string): void | Promise<void>;
}

/** What a stream gets from its manager. */
export interface StreamSetup {
	session: string;
	homes: SessionHomes;
	/** See `StreamSessionManagerOptions`. */
	options: {
		keepAlive: number;
		maxQueuedBytes: number;
		readTimeout: number;
		maxLifetime: number;
		onGap: (sessionId: string) => void;
		onCutOff: (sessionId: string) => void;
		info?: SessionKeeper | undefined;
	};
	scope: RequestScope | undefined;
	/** Called once, when the response has ended. */
	onFinish(stream: ClientStream): void;
	/** Called when it is ended while its client has not read all. */
	onDrain(stream: ClientStream): void;
}

/**
 * The response to one GET that a client holds open. It carries the events from the object's socket, and a comment when
 * there is none for a while, which keeps proxies from closing it and is the only way to notice a client that vanished.
 *
 * When a client reads slowly, the stream closes its socket until the client has read. Meanwhile events wait in the object's
 * log.
 *
 * Connection, timers and response belong to the request that made them.
 */
export class ClientStream extends Connection {
	/** The call that tells the object that the client is gone, where closing the socket does not tell it. */
	left: Promise<void> | undefined;
	#controller: StreamController;
	#setup: StreamSetup;
	#queue = new ClientQueue();
	/** `leaving`: its longest life is over, and the object is being told where its client is. */
	#state: 'live' | 'leaving' | 'draining' | 'ended' = 'live';
	/** `desiredSize` of the controller while nothing is queued. */
	#capacity: number;
	/** The start of the `id` line of an event, up to the position; `undefined` without a log. */
	#idLine: string | undefined;
	#timer: ReturnType<typeof setInterval> | undefined;
	#touchedAt = 0;
	#isWatched = false;
	/** When the client last read, or when something began to wait for it. */
	#readAt = 0;
	/** When the client of an ended stream is cut off, though it has not read the rest. */
	#drainUntil = Infinity;

	/** @param controller of a response that is still empty */
	constructor(controller: StreamController, setup: StreamSetup) {
		super();
		this.#controller = controller;
		this.#setup = setup;
		this.#capacity = controller.desiredSize ?? 0;
	}

	/** Connect, and begin to carry messages. */
	async open(): Promise<void> {
		await this.connectFirst(this.#setup.scope?.lastEventId);
		this.accept();
		if (this.#state !== 'live') return;
		const { info, keepAlive, maxLifetime } = this.#setup.options;
		const lifetime = lifetimeMs(maxLifetime);
		const endsAt = Date.now() + lifetime;
		// One timer for comments, `touch` and the end: so many ticks for each comment that all of them are in time.
		const ticks = Math.ceil(
			keepAlive / Math.min(keepAlive, info?.touchIntervalMs ?? keepAlive, lifetime),
		);
		const pause = keepAlive / ticks;
		let tick = 0;
		this.#touch();
		this.#timer = setInterval(() => {
			this.#touch();
			if (Date.now() + pause > endsAt) void this.#endLife();
			if (++tick % ticks !== 0) return;
			this.#look();
			// Where something waits for the client, that keeps the connection busy.
			if (this.#queue.isEmpty) this.#write(KEEP_ALIVE, undefined);
		}, pause);
	}

	/**
	 * Whether the client of this stream has just cancelled it. The transports make the same call for that and for an HTTP
	 * DELETE of the session, and this tells them apart.
	 */
	get isBeingCancelled(): boolean {
		return this.isOfThisRequest && this.#isCancelled;
	}

	/**
	 * Close the response once the client has read what is queued for it. It is not closed before, because a closed response
	 * that is not empty can still be cancelled, and that could not be told from a DELETE.
	 */
	end(): void {
		if (this.#state === 'live') this.#drain();
	}

	#drain(): void {
		this.#state = 'draining';
		this.#drainUntil = Math.min(this.#drainUntil, Date.now() + DRAIN_LIMIT_MS);
		this.#setup.onDrain(this);
		clearInterval(this.#timer);
		this.close(this.#queue.takenSeq);
		this.#look();
		if (this.#queue.isEmpty) this.finish();
		else if (!this.#isWatched) void this.#watch();
	}

	/** Another stream of the session drains: stop waiting for the client to read the rest. Any request may call this. */
	hurry(): void {
		if (this.#state === 'draining') this.#drainUntil = 0;
	}

	/** Close the response at once: the client is gone, or has read everything. */
	finish(): void {
		// With a socket and an empty queue, closing the socket tells the object enough.
		if (this.#state === 'live' && !(this.isOpen && this.#queue.isEmpty)) this.leave();
		if (this.#state === 'ended') return;
		this.#state = 'ended';
		clearInterval(this.#timer);
		this.close(this.#queue.takenSeq);
		this.#queue.drop();
		try {
			this.#controller.close();
		} catch {
			// The client cancelled the response: there is nothing left to close.
		}
		this.#setup.onFinish(this);
	}

	/** Tell the object which event the client took last; 0 where it was never open. */
	leave(): void {
		const { homes, session } = this.#setup;
		const { connectionId } = this;
		const position = this.#queue.takenSeq ?? 0;
		this.left = hold(
			callObject(homes.of(session), async (stub) => {
				await stub.detach(session, { connectionId, position });
			}),
		);
		this.left.catch(() => {});
	}

	protected override connect(lastEventId: string | undefined, resume: boolean): Promise<Opened> {
		const { connectionId } = this;
		const { homes, scope, session } = this.#setup;
		const owner = scope?.ownerHash;
		const open = async (stub: SyncLayerStub, home: Home) => {
			if (this.#isCancelled) {
				throw new SessionManagerError('STREAM_DETACHED', 'the client went away meanwhile.');
			}
			// Once only, and not for another one: it may be refused.
			home.upgradeKey ??= scope?.upgradeKey;
			delete scope?.upgradeKey;
			const window = Math.max(1, this.#bound - this.#queue.bytes);
			return openStream(home, stub, session, { connectionId, lastEventId, resume, owner, window });
		};
		// One that a gateway has admitted, or that comes back, is known there.
		const isKnown = owner !== undefined || resume;
		const home = isKnown ? homes.of(session) : homes.toBegin(session);
		return callObject(home, open, resume ? 1 : undefined);
	}

	protected override onOpen(log: LogPosition | undefined): void {
		const isFirst = this.#queue.takenSeq === undefined;
		this.#idLine = log && `id: ${log.eventIdPrefix}`;
		if (log) this.#queue.begin(log.after);
		if (this.#isCancelled) {
			this.finish();
			return;
		}
		if (log && isFirst) this.#prime(log.after);
		if (log?.recovered === false) void report(this.#setup.options.onGap, this.#setup.session);
	}

	protected override onEvent(frame: string, seq: number | undefined): void {
		const text =
			seq === undefined ? frame.slice(frame.indexOf('\n') + 1) : `${this.#idLine}${frame}`;
		this.#write(encoder.encode(text), seq);
		if (this.#state !== 'live') return;
		const { bytes } = this.#queue;
		if (this.#idLine === undefined) {
			const bound = this.#setup.options.maxQueuedBytes * BOUNDS_WITHOUT_LOG;
			if (bytes >= boundNow(bound)) this.#cutOff();
		} else if (bytes >= this.#bound) {
			this.pause(this.#queue.takenSeq);
			if (channels.paused.hasSubscribers) {
				channels.paused.publish({ ...here(this.#setup.session), bytes });
			}
		}
	}

	protected override onPosition(seq: number): void {
		if (this.#state !== 'live') return;
		this.#queue.moveTo(seq);
		this.#prime(seq);
	}

	protected override onPause(): void {
		this.#look();
		this.#goOnIfRead();
	}

	/** That the object is away for a while is no error; that there is no further try is one. */
	protected override onFailure(error: unknown, _: number, isLast: boolean): void {
		if (isLast) console.error(error);
	}

	protected override onEnd(): void {
		this.end();
	}

	override get subject(): Subject {
		return { ...here(this.#setup.session), stream: 'session' };
	}

	/** Write an event without a message, so that the client has an id to come back with. */
	#prime(seq: number): void {
		const priming = this.#setup.scope?.primingEvent;
		if (priming === undefined) return;
		this.#write(encoder.encode(`${this.#idLine}${seq}\n${priming}`), seq);
	}

	/** `desiredSize` is 0 for a cancelled response and for one with a full queue: only a write tells them apart. */
	get #isCancelled(): boolean {
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

	#write(chunk: Uint8Array, seq: number | undefined): void {
		if (this.#state !== 'live') return;
		try {
			this.#controller.enqueue(chunk);
		} catch {
			// The client is gone. Closing the socket is what tells the object.
			this.finish();
			return;
		}
		// The client has read everything, so it needs no entry in the queue.
		if (this.#controller.desiredSize === this.#capacity) {
			this.#queue.keep(0);
			if (seq !== undefined) this.#queue.moveTo(seq);
			return;
		}
		this.#queue.add(chunk.byteLength, seq);
		this.#look();
		if (!this.#isWatched) void this.#watch();
	}

	#goOnIfRead(): void {
		if (this.#state === 'live' && this.#queue.bytes <= this.#bound / 2) this.comeBack();
	}

	/** How much may wait for this client, in bytes. */
	get #bound(): number {
		return boundNow(this.#setup.options.maxQueuedBytes);
	}

	/**
	 * The stream has lived long enough. It ends once its client has read what waits, or does not read; and it ends for the
	 * object first, so that the session's place is right before its client can be back.
	 */
	async #endLife(): Promise<void> {
		const limit = Date.now() + DRAIN_LIMIT_MS;
		while (this.#state === 'live' && !this.#queue.isEmpty && Date.now() < limit) {
			await scheduler.wait(LAST_READ_CHECK_MS / 10);
			this.#look();
		}
		if (this.#state !== 'live') return;
		this.#state = 'leaving';
		clearInterval(this.#timer);
		// The socket is open until the object closes it; what still comes on it is the next stream's.
		const { lastEventId } = this;
		this.leave();
		await Promise.race([this.left?.catch(() => {}), scheduler.wait(LEAVE_LIMIT_MS)]);
		if (this.#hasEnded) return;
		this.#farewell(lastEventId);
		this.#drain();
	}

	get #hasEnded(): boolean {
		return this.#state === 'ended';
	}

	/** The last event: where the client is, and when it is to come back (MCP 2025-11-25; before, it is the field of any SSE). */
	#farewell(lastEventId: string | undefined): void {
		const priming = this.#setup.scope?.primingEvent;
		const retry = `retry: ${retryMs()}\n`;
		const hasPlace = lastEventId !== undefined && priming !== undefined;
		const text = hasPlace ? `id: ${lastEventId}\n${retry}${priming}` : `${retry}\n`;
		try {
			this.#controller.enqueue(encoder.encode(text));
			if (this.#controller.desiredSize !== this.#capacity) this.#queue.add(text.length, undefined);
		} catch {
			// The client is gone.
		}
	}

	/** Checks what the client has read while something waits for it: no event tells that. */
	async #watch(): Promise<void> {
		this.#isWatched = true;
		this.#readAt = Date.now();
		for (let pauseMs = FIRST_READ_CHECK_MS; !this.#queue.isEmpty;) {
			await scheduler.wait(pauseMs);
			// The `desiredSize` of a cancelled response does not tell what was read.
			if (this.#isCancelled) {
				if (this.#state === 'draining') this.finish();
				break;
			}
			pauseMs = this.#look()
				? Math.max(pauseMs / 2, FIRST_READ_CHECK_MS)
				: Math.min(pauseMs * 2, LAST_READ_CHECK_MS);
			const limit = Math.min(this.#readAt + this.#setup.options.readTimeout, this.#drainUntil);
			if (this.#queue.isEmpty && this.#state === 'draining') this.finish();
			else if (!this.#queue.isEmpty && Date.now() >= limit) this.#cutOff();
			else this.#goOnIfRead();
		}
		this.#isWatched = false;
	}

	/** @returns whether the client has read something since the last check */
	#look(): boolean {
		const hasRead = this.#queue.keep(this.#capacity - (this.#controller.desiredSize ?? 0));
		if (hasRead) this.#readAt = Date.now();
		return hasRead;
	}

	/** Ends the response with an error: `close` would wait for the client for ever, and look as if everything had been read. */
	#cutOff(): void {
		const wasLive = this.#state === 'live';
		if (wasLive) this.leave();
		this.#state = 'draining';
		this.#controller.error(new Error('The client does not read its stream.'));
		this.finish();
		if (wasLive) void report(this.#setup.options.onCutOff, this.#setup.session);
	}

	#touch(): void {
		const { options, session } = this.#setup;
		const { info } = options;
		const now = Date.now();
		if (!info || now - this.#touchedAt < info.touchIntervalMs) return;
		this.#touchedAt = now;
		void info.touch(session);
	}
}
