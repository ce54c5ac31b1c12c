import type { StreamSessionManager } from '@tmcp/session-manager';
import * as v from 'valibot';
import { MAX_BROADCAST_BYTES, shareOfBatch } from '../../wire/limits.ts';
import { type Homes, homesOf, type SessionHomes } from '../routing/homes.ts';
import { callObject } from '../routing/object.ts';
import { sendToHomes } from '../routing/send.ts';
import { isOvertaken } from '../connection/connection.ts';
import { DEFAULT_MAX_LIFETIME_MS, LifetimeSchema } from '../connection/lifetime.ts';
import { type BroadcastInput, parseBroadcast, parseSessionId } from '../../wire/arguments.ts';
import {
	functionSchema,
	hasMethod,
	parseOptions,
	PositiveIntegerSchema,
	TimerSchema,
} from '../../wire/options.ts';
import { quote, SessionManagerError } from '../../errors.ts';
import { resourceOf } from '../info/subscribers.ts';
import { readRequestEvents } from '../answers/messages.ts';
import { DEFAULT_READ_TIMEOUT_MS } from './client-queue.ts';
import { ClientStream, type SessionKeeper, type StreamController } from './client-stream.ts';
import { hold } from '../request/hold.ts';
import { DEFAULT_KEEP_ALIVE_MS } from './keep-alive.ts';
import { Outbox } from '../request/outbox.ts';
import { FailureReport } from '../request/report.ts';
import { currentScope, type RequestScope, tellsHomes } from '../request/request-scope.ts';

/** How much may wait in the Worker for one client, in bytes. */
const DEFAULT_MAX_QUEUED_BYTES = 1024 * 1024;

const SessionCallbackSchema = functionSchema<(sessionId: string) => void>();

function isSessionKeeper(value: unknown): boolean {
	if (!hasMethod(value, 'touch')) return false;
	const interval: unknown = Reflect.get(value, 'touchIntervalMs');
	return typeof interval === 'number' && interval >= 1;
}

const OptionsSchema = v.strictObject({
	keepAlive: v.optional(TimerSchema, DEFAULT_KEEP_ALIVE_MS),
	maxQueuedBytes: v.optional(PositiveIntegerSchema, DEFAULT_MAX_QUEUED_BYTES),
	readTimeout: v.optional(PositiveIntegerSchema, DEFAULT_READ_TIMEOUT_MS),
	maxLifetime: v.optional(LifetimeSchema, DEFAULT_MAX_LIFETIME_MS),
	onGap: v.optional(SessionCallbackSchema, () => () => {}),
	onCutOff: v.optional(SessionCallbackSchema, () => () => {}),
	onError: v.optional(functionSchema<(error: unknown) => void>(), () => (error: unknown) => {
		console.error(error);
	}),
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
	 * without closing its connection is noticed at the second comment at the latest. Until then the transports answer its
	 * reconnect with 409, unless a {@link SessionGateway} stands in front of them.
	 */
	keepAlive?: number;
	/**
	 * The {@link KVInfoSessionManager} of the same transport. With it, what KV holds of a session does not expire while
	 * the session's stream is open, even if the client sends nothing for longer than the `ttl`.
	 */
	info?: SessionKeeper;
	/**
	 * How much may wait in the Worker for one client, in bytes (default 1 MiB; each message counts for 1 KiB beside its
	 * text). When that much waits, the rest stays in the object's log until the client has read. A single message that is
	 * larger is sent all the same. While more than 32 MiB wait for all clients of an instance, the limit is 64 KiB for each.
	 *
	 * With the log switched off, nothing can stay there: a client is cut off when 16 times `maxQueuedBytes` wait for it, or
	 * 64 KiB while more than 32 MiB wait for all.
	 */
	maxQueuedBytes?: number;
	/**
	 * How long a client may read nothing at all while something waits for it, in milliseconds (default 120,000). Then it is
	 * cut off. It can come back for the rest, as long as that is in the log.
	 */
	readTimeout?: number;
	/**
	 * How long a stream lives at most, in milliseconds (default 86,400,000: a day; 2,147,483,647 at most, or `Infinity`). It
	 * ends after a random time between half of that and all of it, so that streams that were opened together do not come back
	 * together: when its client has read what was sent, with a `retry` field of one to two seconds. The client comes back to
	 * its place, and neither misses nor repeats anything: behind a `SessionGateway` by its `Last-Event-ID`.
	 *
	 * A day, because to come back is cheap, but not every client does it by itself: the official TypeScript SDK does from 1.23
	 * on. With an `SseTransport`, whose sessions end with their streams, give `Infinity`.
	 */
	maxLifetime?: number;
	/** Called for each session that lost events, because it came back after the log had cut them (default: nothing). */
	onGap?: (sessionId: string) => void;
	/** Called for each session whose client was cut off because it does not read, see `readTimeout` (default: nothing). */
	onCutOff?: (sessionId: string) => void;
	/** Told once of each failure to send, because tmcp's transports drop the rejection (default: `console.error`). */
	onError?: (error: unknown) => void;
}

/**
 * Connects the streams of all sessions through the `SyncLayer` object, so that any Worker instance reaches a client that
 * another instance serves. Give it to tmcp's `HttpTransport` or `SseTransport`:
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
 * not await it. Every method rejects with a `SessionManagerError`: its own codes, and `BINDING_MISSING`,
 * `BINDING_WRONG_KIND`, `OBJECT_FAILED`.
 */
export class DurableObjectStreamSessionManager implements StreamSessionManager {
	#homes: SessionHomes;
	#options: v.InferOutput<typeof OptionsSchema>;
	#failures: FailureReport;
	/** The streams that this instance serves, by session, which has two while a new one supersedes an old one. */
	#streams = new Map<string, Set<ClientStream>>();
	#outbox = new Outbox<BroadcastInput>(async (batch) => {
		await sendToHomes(this.#homes, batch);
	}, MAX_BROADCAST_BYTES);

	/**
	 * @param binding name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), the namespace itself, or
	 * {@link SessionHomes}
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(binding?: Homes, options?: StreamSessionManagerOptions) {
		this.#homes = homesOf(binding);
		this.#options = parseOptions(OptionsSchema, options, 'DurableObjectStreamSessionManager');
		this.#failures = new FailureReport(this.#options.onError);
	}

	/**
	 * Make `controller` the session's stream. A stream that the session already has, in any instance, ends.
	 * @throws `INVALID_SESSION_ID`, `OBJECT_FULL`
	 */
	create(id: string, controller: StreamController): Promise<void> {
		return hold(this.#create(id, controller));
	}

	/**
	 * End the session. Called by the `cancel()` of a stream, it ends that stream only: a newer one of the same session, in any
	 * instance, stays open.
	 * @throws `INVALID_SESSION_ID`
	 */
	delete(id: string): Promise<void> {
		return hold(this.#delete(id));
	}

	/**
	 * Whether the session has an open stream in any instance. It is always `false` for a GET behind a {@link SessionGateway}
	 * that may supersede that stream.
	 * @throws `INVALID_SESSION_ID`
	 */
	has(id: string): Promise<boolean> {
		return hold(this.#has(id));
	}

	/**
	 * Send to the named sessions, or to all where `sessions` is `undefined`. What one request sends arrives in order, and
	 * waits for sessions without an open stream.
	 *
	 * It rejects where the object did not confirm the broadcast. The transports drop that, so `onError` is told as well.
	 * @param data whole SSE events; at most 32 MiB less 4 KiB
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`, and `SERVER_REQUEST_REFUSED` for a request of
	 * the server, which `SseTransport` sends this way: nothing would bind the answer to who asked, and the log would ask again
	 */
	send(sessions: string[] | undefined, data: string): Promise<void> {
		return hold(this.#send(sessions, data));
	}

	async #create(id: string, controller: StreamController): Promise<void> {
		const scope = currentScope();
		assertGuarded(scope);
		const session = parseSessionId(id);
		const streams = this.#streams.get(session) ?? new Set();
		const stream = new ClientStream(controller, {
			session,
			homes: this.#homes,
			options: this.#options,
			scope,
			onFinish: (finished) => this.#forget(session, finished),
			onDrain: (draining) => {
				for (const other of streams) if (other !== draining) other.hurry();
			},
		});
		this.#streams.set(session, streams.add(stream));
		try {
			await stream.open();
		} catch (error) {
			// It was superseded or ended before it was open, and ends as it would have after that.
			if (isOvertaken(error)) {
				stream.publishLast(error);
				stream.end();
				return;
			}
			this.#forget(session, stream);
			// The object may have sent something on a socket that is lost.
			stream.leave();
			throw error;
		}
	}

	async #delete(id: string): Promise<void> {
		if (tellsHomes(this.#homes)) return;
		assertGuarded(currentScope());
		const session = parseSessionId(id);
		const streams = this.#streams.get(session) ?? [];
		const cancelled = [...streams].filter((stream) => stream.isBeingCancelled);
		const hasEnded = currentScope()?.ended?.session === session;
		if (cancelled.length === 0 && !hasEnded) {
			await callObject(this.#homes.of(session), async (stub) => stub.end(session));
		}
		for (const stream of cancelled) {
			stream.finish();
			await stream.left;
		}
	}

	async #has(id: string): Promise<boolean> {
		const session = parseSessionId(id);
		// The transport would refuse with 409, though `create` supersedes.
		if (currentScope()?.takesOver) return false;
		return callObject(this.#homes.of(session), (stub) => stub.has(session));
	}

	async #send(sessions: string[] | undefined, data: string): Promise<void> {
		try {
			const resource = resourceOf(sessions);
			const named = resource === undefined ? sessions : [];
			const broadcast = parseBroadcast(named, data, { id: crypto.randomUUID(), resource });
			if (broadcast.sessions?.length === 0 && resource === undefined) return;
			assertNoRequest(data);
			await this.#outbox.add(broadcast, shareOfBatch(broadcast.sessions, data));
		} catch (error) {
			this.#failures.tell(error);
			throw error;
		}
	}

	#forget(session: string, stream: ClientStream): void {
		const streams = this.#streams.get(session);
		streams?.delete(stream);
		if (streams?.size === 0) this.#streams.delete(session);
	}
}

/** @throws `INVALID_ARGUMENT` where a gateway stands in front of the transport, at another path than that of the request */
function assertGuarded(scope: RequestScope | undefined): void {
	if (!scope?.isUnguarded) return;
	throw new SessionManagerError(
		'INVALID_ARGUMENT',
		'the transport serves sessions at a path that is not that of its SessionGateway. Give both the same path.',
	);
}

/** A client that comes back would get it once more from the log, and anybody could answer it. */
function assertNoRequest(data: string): void {
	const [asked] = readRequestEvents(data);
	if (!asked) return;
	throw new SessionManagerError(
		'SERVER_REQUEST_REFUSED',
		`a server's request (${quote(asked.request.method)}) was not sent to its client, because over SseTransport nobody can tell whose answer comes back. Serve a server that asks its clients (elicitation, sampling, roots) with HttpTransport, behind a SessionGateway.`,
	);
}
