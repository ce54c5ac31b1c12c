import type { SubscriptionCallbacks } from '@tmcp/session-manager';
import * as v from 'valibot';
import { SessionManagerError, type SessionManagerErrorCode } from '../errors.ts';
import { CloseCode, decodeFrame } from '../protocol.ts';
import type { Opened, OpenedSubscription } from '../routing/open-socket.ts';
import { reattachPauseMs } from '../routing/retry.ts';
import { NotificationSchema, type SubscriptionEnd } from '../schemas.ts';

/** Which close codes end a subscription, and what its stream is told. Any other means that the object went away. */
const ENDS: Record<number, SubscriptionEnd> = {
	[CloseCode.subscriptionClosed]: 'closed',
	[CloseCode.subscriptionCancelled]: 'cancelled',
	[CloseCode.superseded]: 'cancelled',
};

/** A socket that lived as long as this, in milliseconds, shows that the object is well again. */
const SETTLED_MS = 10_000;

/** What trying again cannot heal. */
const HOPELESS = new Set<SessionManagerErrorCode | undefined>([
	'INVALID_ARGUMENT',
	'BINDING_MISSING',
	'BINDING_WRONG_KIND',
]);

/** What a listener is given by its manager. */
export interface ListenerHooks {
	/** Open a socket, the first or another one in the place of one that was lost, for what comes after an event. */
	connect(lastEventId: string | undefined): Promise<OpenedSubscription>;
	/** Told of a callback that failed, and of the first try to come back that did; must not throw. */
	onError(error: unknown): void;
}

/**
 * The Worker's side of one `subscriptions/listen` stream: a socket in, tmcp's callbacks out, one after another. Where the
 * object goes away without ending the subscription (a deploy), it takes up a new socket by itself, and the client's
 * stream goes on.
 *
 * All of it belongs to the request that made it.
 */
export class Listener {
	#callbacks: SubscriptionCallbacks;
	#hooks: ListenerHooks;
	/** Callbacks are called in order, each after the one before has finished. */
	#queue = Promise.resolve();
	/** Tries to come back since the object was well. */
	#tries = 0;
	#eventIdPrefix: string | undefined;
	#lastSeq = 0;

	constructor(callbacks: SubscriptionCallbacks, hooks: ListenerHooks) {
		this.#callbacks = callbacks;
		this.#hooks = hooks;
	}

	/**
	 * Connect, acknowledge, then carry what comes. The socket is accepted only after the acknowledgement, so the runtime
	 * keeps what arrives until then, in order.
	 * @returns `false` where the origin has a subscription of that id already
	 */
	async start(): Promise<boolean> {
		const opened = await this.#hooks.connect(undefined);
		if (opened.kind === 'duplicate') return false;
		try {
			await this.#callbacks.acknowledge();
		} catch (error) {
			if (opened.kind === 'open') discard(opened.socket);
			throw error;
		}
		this.#carry(opened);
		return true;
	}

	#carry(opened: OpenedSubscription): void {
		if (opened.kind === 'open') this.#listen(opened);
		else this.#end(opened.kind === 'ended' ? opened.reason : 'cancelled');
	}

	#listen({ socket, log }: Opened): void {
		if (log) {
			if (log.eventIdPrefix !== this.#eventIdPrefix) this.#lastSeq = log.after;
			this.#eventIdPrefix = log.eventIdPrefix;
		}
		const since = Date.now();
		socket.addEventListener('message', ({ data }) => {
			const notification = this.#take(data);
			if (notification) this.#enqueue(() => this.#callbacks.send(notification));
		});
		// A broken connection may tell of its end twice.
		let isGone = false;
		const onGone = (code: number) => {
			if (isGone) return;
			isGone = true;
			socket.close();
			if (Date.now() - since >= SETTLED_MS) this.#tries = 0;
			const reason = ENDS[code];
			if (reason) this.#end(reason);
			else void this.#reattach();
		};
		socket.addEventListener('close', ({ code }) => onGone(code));
		socket.addEventListener('error', () => onGone(1006));
		socket.accept();
	}

	#end(reason: SubscriptionEnd): void {
		this.#enqueue(() => this.#callbacks.close(reason));
	}

	async #reattach(): Promise<void> {
		for (let failures = 0; ; failures++) {
			this.#tries++;
			await scheduler.wait(reattachPauseMs(this.#tries));
			try {
				this.#carry(await this.#hooks.connect(this.#lastEventId));
				return;
			} catch (error) {
				if (failures === 0) this.#hooks.onError(error);
				if (!HOPELESS.has(SessionManagerError.from(error)?.code)) continue;
				this.#end('cancelled');
				return;
			}
		}
	}

	get #lastEventId(): string | undefined {
		return this.#eventIdPrefix === undefined ? undefined : this.#eventIdPrefix + this.#lastSeq;
	}

	/** What arrives a second time after a reattachment is told once. */
	#take(message: unknown) {
		const { seq, data } = decodeFrame(message) ?? {};
		if (data === undefined || (seq !== undefined && seq <= this.#lastSeq)) return undefined;
		this.#lastSeq = seq ?? this.#lastSeq;
		const result = v.safeParse(NotificationSchema, JSON.parse(data));
		return result.success ? result.output : undefined;
	}

	#enqueue(call: () => void | Promise<void>): void {
		this.#queue = this.#queue.then(call).catch((error: unknown) => this.#hooks.onError(error));
	}
}

function discard(socket: WebSocket): void {
	socket.accept();
	socket.close(CloseCode.clientGone, 'the subscription was not acknowledged');
}
