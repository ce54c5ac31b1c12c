import type { SubscriptionCallbacks } from '@tmcp/session-manager';
import * as v from 'valibot';
import { CloseCode } from '../protocol.ts';
import { pauseMs, type RetryPolicy } from '../routing/retry.ts';
import { NotificationSchema, type SubscriptionEnd } from '../schemas.ts';

/** Coming back to an object that went away: soon at first, and for as long as the client listens. */
const REATTACH: Pick<RetryPolicy, 'baseMs' | 'maxMs'> = { baseMs: 200, maxMs: 30_000 };

/** Which close codes end a subscription, and what its stream is told. Any other means that the object went away. */
const ENDS: Record<number, SubscriptionEnd> = {
	[CloseCode.subscriptionClosed]: 'closed',
	[CloseCode.subscriptionCancelled]: 'cancelled',
	[CloseCode.superseded]: 'cancelled',
};

/**
 * The Worker's side of one `subscriptions/listen` stream: a socket in, tmcp's callbacks out, one after another. Where the
 * object goes away without ending the subscription (a deploy), it takes up a new socket by itself, and the client's
 * stream goes on.
 *
 * All of it belongs to the request that made it.
 */
export class Listener {
	#callbacks: SubscriptionCallbacks;
	#reopen: () => Promise<WebSocket>;
	#onError: (error: unknown) => void;
	/** Callbacks are called in order, each after the one before has finished. */
	#queue = Promise.resolve();
	#ended = false;

	/**
	 * @param reopen opens a new socket in the place of one that was lost
	 * @param onError told of a callback that failed
	 */
	constructor(
		callbacks: SubscriptionCallbacks,
		reopen: () => Promise<WebSocket>,
		onError: (error: unknown) => void,
	) {
		this.#callbacks = callbacks;
		this.#reopen = reopen;
		this.#onError = onError;
	}

	/**
	 * Acknowledge, then carry what comes. The socket is accepted only after the acknowledgement, so the runtime keeps
	 * what arrives until then, in order.
	 */
	async start(socket: WebSocket): Promise<void> {
		try {
			await this.#callbacks.acknowledge();
		} catch (error) {
			socket.accept();
			socket.close(CloseCode.clientGone, 'the subscription was not acknowledged');
			throw error;
		}
		this.#listen(socket);
	}

	#listen(socket: WebSocket): void {
		socket.addEventListener('message', ({ data }) => {
			const notification = parseNotification(data);
			if (notification) this.#enqueue(() => this.#callbacks.send(notification));
		});
		// A broken connection may tell of its end twice.
		let gone = false;
		const onGone = (code: number) => {
			if (gone) return;
			gone = true;
			const reason = ENDS[code];
			if (reason) this.#end(reason);
			else void this.#reattach();
		};
		socket.addEventListener('close', ({ code }) => onGone(code));
		socket.addEventListener('error', () => onGone(1006));
		socket.accept();
	}

	#end(reason: SubscriptionEnd): void {
		this.#ended = true;
		this.#enqueue(() => this.#callbacks.close(reason));
	}

	async #reattach(): Promise<void> {
		for (let tries = 1; !this.#ended; tries++) {
			try {
				this.#listen(await this.#reopen());
				return;
			} catch {
				await scheduler.wait(pauseMs(REATTACH, tries));
			}
		}
	}

	#enqueue(call: () => void | Promise<void>): void {
		this.#queue = this.#queue.then(call).catch(this.#onError);
	}
}

function parseNotification(data: unknown) {
	if (typeof data !== 'string') return undefined;
	const result = v.safeParse(NotificationSchema, JSON.parse(data));
	return result.success ? result.output : undefined;
}
