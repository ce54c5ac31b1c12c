import type { StreamSessionManager } from '@tmcp/session-manager';
import * as v from 'valibot';
import { SessionManagerError } from '../../errors.ts';
import {
	lookUpSyncLayer,
	type SyncLayerBinding,
	type SyncLayerNamespace,
} from '../routing/binding.ts';
import { broadcastBytes, MAX_BROADCAST_BYTES } from '../../wire/protocol.ts';
import { callObject } from '../routing/object.ts';
import { type Opened, openStream } from '../connection/open-socket.ts';
import {
	type AttachOptions,
	type BroadcastInput,
	type DetachOptions,
	functionSchema,
	parseBroadcast,
	parseOptions,
	parseSessionId,
} from '../../wire/arguments.ts';
import { ClientStream, isOvertaken, type StreamController } from './client-stream.ts';
import { hold } from '../request/hold.ts';
import {
	DEFAULT_KEEP_ALIVE_MS,
	DEFAULT_MAX_QUEUED_BYTES,
	KeepAliveSchema,
	MAX_TIMER_MS,
	MaxQueuedBytesSchema,
} from './keep-alive.ts';
import { Outbox } from '../request/outbox.ts';
import { report } from '../request/report.ts';
import { currentScope } from '../request/request-scope.ts';

/** What a stream keeps from expiring while it is open, see {@link StreamSessionManagerOptions.info}. */
export interface SessionKeeper {
	/** How long after one `touch` the next one is due, in milliseconds. */
	readonly touchIntervalMs: number;
	/** Renew the expiry of all that is stored for a session, where it is due. */
	touch(id: string): void | Promise<void>;
}

const SessionCallbackSchema = functionSchema<(sessionId: string) => void>();

function isSessionKeeper(value: unknown): boolean {
	if (typeof value !== 'object' || value === null) return false;
	if (!('touch' in value && typeof value.touch === 'function')) return false;
	return (
		'touchIntervalMs' in value &&
		typeof value.touchIntervalMs === 'number' &&
		value.touchIntervalMs >= 1
	);
}

const OptionsSchema = v.strictObject({
	keepAlive: v.optional(KeepAliveSchema, DEFAULT_KEEP_ALIVE_MS),
	maxQueuedBytes: v.optional(MaxQueuedBytesSchema, DEFAULT_MAX_QUEUED_BYTES),
	onGap: v.optional(SessionCallbackSchema, () => () => {}),
	onCutOff: v.optional(SessionCallbackSchema, () => () => {}),
	info: v.optional(
		v.custom<SessionKeeper>(
			isSessionKeeper,
			'info is not a KVInfoSessionManager, nor anything else with touch() and touchIntervalMs',
		),
	),
});

/** Options of {@link DurableObjectStreamSessionManager}. */
export interface StreamSessionManagerOptions {
	/**
	 * Pause between two keep-alive comments on an open stream, in milliseconds (default 25,000). A client that vanished
	 * without a word is noticed by the second comment at the latest (the first may still find its connection open); until
	 * then the transports answer its reconnect with 409.
	 */
	keepAlive?: number;
	/**
	 * The {@link KVInfoSessionManager} of the same transport. With it, what KV holds of a session does not expire while
	 * the session's stream is open, even if the client sends nothing for longer than the `ttl`.
	 */
	info?: SessionKeeper;
	/**
	 * How much may wait in the Worker for a client that does not read, in bytes (default 16 MiB). What comes on top of it
	 * cuts the client off; it can come back for the rest, as long as the log has it.
	 */
	maxQueuedBytes?: number;
	/** Told of each session that came back for what the log no longer has (default: nothing). */
	onGap?: (sessionId: string) => void;
	/** Told of each session whose client was cut off because it does not read (default: nothing). */
	onCutOff?: (sessionId: string) => void;
}

/**
 * Keeps the streams of all sessions in the `SyncLayer` object, so that whichever Worker instance sends, the client
 * that another instance serves gets it. Give it to tmcp's `HttpTransport` or `SseTransport`:
 *
 * ```ts
 * const sessionManager = {
 * 	streams: new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT'),
 * 	info: new KVInfoSessionManager('TMCP_SESSION_INFO'),
 * };
 * const transport = new HttpTransport(server, { sessionManager });
 * ```
 *
 * Safe to construct at module scope. All its work is held with `waitUntil`, so it is done even where the caller does
 * not await it. Every method rejects with a {@link SessionManagerError}: its own codes, and `BINDING_MISSING`,
 * `BINDING_WRONG_KIND`, `OBJECT_FAILED`.
 */
export class DurableObjectStreamSessionManager implements StreamSessionManager {
	#namespace: () => SyncLayerNamespace;
	#options: v.InferOutput<typeof OptionsSchema>;
	/** The streams that this instance serves. A session has two for a moment while one supersedes the other. */
	#streams = new Map<string, Set<ClientStream>>();
	#outbox = new Outbox<BroadcastInput>((batch) => this.#broadcast(batch), MAX_BROADCAST_BYTES);

	/**
	 * @param binding name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), or the namespace itself
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(
		binding?: SyncLayerBinding | SyncLayerNamespace,
		options?: StreamSessionManagerOptions,
	) {
		this.#namespace = lookUpSyncLayer(binding ?? 'TMCP_DURABLE_OBJECT');
		this.#options = parseOptions(OptionsSchema, options, 'DurableObjectStreamSessionManager');
	}

	/**
	 * Make `controller` the session's stream. A stream that the session already has, here or anywhere, ends.
	 * @throws `INVALID_SESSION_ID`, `OBJECT_FULL`
	 */
	create(id: string, controller: StreamController): Promise<void> {
		return hold(this.#create(id, controller));
	}

	/**
	 * End the session's stream. Called by the `cancel()` of a stream, it ends that stream only: a newer one of the same
	 * session, wherever it is, goes on.
	 * @throws `INVALID_SESSION_ID`
	 */
	delete(id: string): Promise<void> {
		return hold(this.#delete(id));
	}

	/**
	 * Whether the session has an open stream anywhere. In a GET that may take over, behind a {@link SessionGateway}, it has
	 * none.
	 * @throws `INVALID_SESSION_ID`
	 */
	has(id: string): Promise<boolean> {
		return hold(this.#has(id));
	}

	/**
	 * Send to the named sessions, or to all where `sessions` is `undefined`. What one request sends arrives in its order; for
	 * sessions without an open stream it waits.
	 *
	 * It rejects where the object did not confirm the broadcast. `HttpTransport` does not catch that, so the runtime
	 * logs it as an uncaught rejection: once, and with its code.
	 * @param data what goes out on the streams, whole SSE events; at most 32 MiB less 4 KiB
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
	 */
	send(sessions: string[] | undefined, data: string): Promise<void> {
		return hold(this.#send(sessions, data));
	}

	async #create(id: string, controller: StreamController): Promise<void> {
		const session = parseSessionId(id);
		const { info, keepAlive, maxQueuedBytes, onCutOff, onGap } = this.#options;
		const scope = currentScope();
		let stopTouching = () => {};
		const stream: ClientStream = new ClientStream(controller, {
			connect: (lastEventId, resume) =>
				this.#connect(session, stream, { resume, lastEventId, owner: scope?.ownerHash }),
			leave: (position = 0) =>
				hold(this.#detach(session, { connectionId: stream.connectionId, position })),
			keepAliveMs: keepAlive,
			maxQueuedBytes,
			primingEvent: scope?.primingEvent,
			onGap: () => void report(onGap, session),
			onCutOff: () => void report(onCutOff, session),
			onEnd: () => {
				stopTouching();
				this.#forget(session, stream);
			},
		});
		this.#remember(session, stream);
		try {
			await stream.open(scope?.lastEventId);
			if (info && !stream.isCancelled) stopTouching = keepTouching(info, session);
		} catch (error) {
			// This one ends, as if it had been open and was told so.
			if (isOvertaken(error)) {
				stream.end();
				return;
			}
			this.#forget(session, stream);
			// What the object may have handed over all the same was not taken.
			const { connectionId } = stream;
			hold(this.#detach(session, { connectionId, position: 0 })).catch(() => {});
			throw error;
		}
	}

	#connect(
		session: string,
		stream: ClientStream,
		options: Omit<AttachOptions, 'ticket' | 'connectionId'>,
	): Promise<Opened> {
		const { connectionId } = stream;
		return callObject(this.#namespace(), true, (stub) => {
			if (!stream.isCancelled) return openStream(stub, session, { connectionId, ...options });
			throw new SessionManagerError(
				'STREAM_DETACHED',
				'the client went away before its stream was open.',
			);
		});
	}

	async #delete(id: string): Promise<void> {
		const session = parseSessionId(id);
		const streams = this.#streams.get(session) ?? [];
		const cancelled = [...streams].filter((stream) => stream.isBeingCancelled);
		if (cancelled.length === 0) await this.#end(session);
		for (const stream of cancelled) {
			stream.finish();
			await stream.left;
		}
	}

	async #detach(session: string, options: DetachOptions): Promise<void> {
		await callObject(this.#namespace(), true, (stub) => stub.detach(session, options));
	}

	async #end(session: string): Promise<void> {
		await callObject(this.#namespace(), true, (stub) => stub.end(session));
	}

	async #has(id: string): Promise<boolean> {
		const session = parseSessionId(id);
		// `create` supersedes; it is the transport that would refuse.
		if (currentScope()?.takesOver) return false;
		return callObject(this.#namespace(), true, (stub) => stub.has(session));
	}

	async #send(sessions: string[] | undefined, data: string): Promise<void> {
		const broadcast = parseBroadcast(sessions, data, { id: crypto.randomUUID() });
		if (broadcast.sessions?.length === 0) return;
		await this.#outbox.add(broadcast, broadcastBytes(broadcast.sessions, data));
	}

	async #broadcast(broadcasts: readonly BroadcastInput[]): Promise<void> {
		await callObject(this.#namespace(), true, (stub) => stub.broadcastBatch(broadcasts));
	}

	#remember(session: string, stream: ClientStream): void {
		const streams = this.#streams.get(session) ?? new Set();
		this.#streams.set(session, streams.add(stream));
	}

	#forget(session: string, stream: ClientStream): void {
		const streams = this.#streams.get(session);
		streams?.delete(stream);
		if (streams?.size === 0) this.#streams.delete(session);
	}
}

function keepTouching(info: SessionKeeper, session: string): () => void {
	const touch = () => void info.touch(session);
	touch();
	const timer = setInterval(touch, Math.min(info.touchIntervalMs, MAX_TIMER_MS));
	return () => clearInterval(timer);
}
