import type {
	Subscription,
	SubscriptionCallbacks,
	SubscriptionManager,
} from '@tmcp/session-manager';
import * as v from 'valibot';
import { SessionManagerError } from '../errors.ts';
import { broadcastBytes, MAX_BROADCAST_BYTES } from '../protocol.ts';
import {
	lookUpSyncLayer,
	type SyncLayerBinding,
	type SyncLayerNamespace,
} from '../routing/binding.ts';
import { callObject } from '../routing/object.ts';
import { openSubscription } from '../routing/open-socket.ts';
import {
	type Notification,
	parseNotifications,
	parseOptions,
	parseSubscription,
	parseUnsubscribe,
	type SubscriptionEnd,
	type SubscriptionInput,
	type SubscriptionTarget,
} from '../schemas.ts';
import { hold } from './hold.ts';
import { Listener } from './listener.ts';

const OptionsSchema = v.strictObject({
	onError: v.optional(
		v.custom<(error: unknown) => void>((value) => typeof value === 'function', 'not a function'),
		() => (error: unknown) => console.error(error),
	),
});

/** Options of {@link DurableObjectSubscriptionManager}. */
export interface SubscriptionManagerOptions {
	/** Told of what a listen stream could not be given, once each (default: one `console.error`). */
	onError?: (error: unknown) => void;
}

/** Notifications that leave in one call. */
interface Batch {
	notifications: Notification[];
	bytes: number;
	sent: Promise<void>;
}

/**
 * Serves `subscriptions/listen` (MCP 2026-07-28) from any Worker instance: whoever sends, each listener gets what it
 * asked for, each once and in order. Give it to tmcp's `HttpTransport`:
 *
 * ```ts
 * const transport = new HttpTransport(server, {
 * 	subscriptionManager: new DurableObjectSubscriptionManager('TMCP_DURABLE_OBJECT'),
 * });
 * ```
 *
 * Safe to construct at module scope: each listen stream opens its own socket, in its own request. A listen stream
 * survives the object (a deploy, an eviction): it comes back by itself, at once, and where that fails after pauses of up to
 * 30 s. What was sent while it was away is not kept.
 *
 * All its work is held with `waitUntil`. Every method rejects with a {@link SessionManagerError}: its own codes, and
 * `BINDING_MISSING`, `BINDING_WRONG_KIND`, `OBJECT_FAILED`.
 */
export class DurableObjectSubscriptionManager implements SubscriptionManager {
	#namespace: () => SyncLayerNamespace;
	#onError: (error: unknown) => void;
	#batch: Batch | undefined;

	/**
	 * @param binding name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), or the namespace itself
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(
		binding?: SyncLayerBinding | SyncLayerNamespace,
		options?: SubscriptionManagerOptions,
	) {
		this.#namespace = lookUpSyncLayer(binding ?? 'TMCP_DURABLE_OBJECT');
		this.#onError = parseOptions(
			OptionsSchema,
			options,
			'DurableObjectSubscriptionManager',
		).onError;
	}

	/**
	 * Open a listen stream: acknowledge it, then send it what matches, until it is closed. What is sent before it is
	 * acknowledged follows the acknowledgement.
	 * @returns `false` where the origin has a subscription of that id already; a string and a number are different ids
	 * @throws `INVALID_ARGUMENT`, `TOO_MANY_SUBSCRIPTIONS`, `OBJECT_FULL`, and what `acknowledge` throws
	 */
	create(subscription: Subscription, callbacks: SubscriptionCallbacks): Promise<boolean> {
		return hold(this.#create(subscription, callbacks));
	}

	/**
	 * Send a notification to every subscription that asked for it, wherever its stream is. What is sent in one turn of
	 * the event loop leaves in one call, in order.
	 * @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
	 */
	send(notification: Notification): Promise<void> {
		return hold(this.#send(notification));
	}

	/**
	 * End one subscription, wherever its stream is.
	 * @returns whether there was one
	 * @throws `INVALID_ARGUMENT`
	 */
	close(id: string | number, origin: string, reason: SubscriptionEnd): Promise<boolean> {
		return hold(this.#end({ id, origin }, reason));
	}

	/**
	 * End every subscription, or every one of an origin.
	 * @throws `INVALID_ARGUMENT`
	 */
	closeAll(origin?: string, reason: SubscriptionEnd = 'cancelled'): Promise<void> {
		return hold(this.#endAll(origin, reason));
	}

	async #create(input: Subscription, callbacks: SubscriptionCallbacks): Promise<boolean> {
		const subscription = parseSubscription(input);
		const listener = new Listener(callbacks, () => this.#reopen(subscription), this.#onError);
		const socket = await this.#open(subscription, false);
		if (!socket) return false;
		await listener.start(socket);
		return true;
	}

	async #reopen(subscription: SubscriptionInput): Promise<WebSocket> {
		const socket = await this.#open(subscription, true);
		if (socket) return socket;
		throw new SessionManagerError('OBJECT_FAILED', 'the subscription could not be replaced.');
	}

	#open(subscription: SubscriptionInput, replace: boolean): Promise<WebSocket | undefined> {
		return callObject(this.#namespace(), true, (stub) =>
			openSubscription(stub, subscription, replace),
		);
	}

	async #send(input: Notification): Promise<void> {
		for (const notification of parseNotifications([input])) await this.#join(notification);
	}

	/** Calls on different stubs may overtake one another, so what is sent together goes together. */
	#join(notification: Notification): Promise<void> {
		const bytes = broadcastBytes(undefined, JSON.stringify([notification]));
		if (!this.#batch || this.#batch.bytes + bytes > MAX_BROADCAST_BYTES) {
			this.#batch = this.#newBatch();
		}
		this.#batch.notifications.push(notification);
		this.#batch.bytes += bytes;
		return this.#batch.sent;
	}

	#newBatch(): Batch {
		const notifications: Notification[] = [];
		return { notifications, bytes: 0, sent: this.#publishNext(notifications) };
	}

	/** Publish what has been added to the list by the end of this turn of the event loop. */
	async #publishNext(notifications: readonly Notification[]): Promise<void> {
		await Promise.resolve();
		if (this.#batch?.notifications === notifications) this.#batch = undefined;
		await callObject(this.#namespace(), false, (stub) => stub.publish(notifications));
	}

	async #endAll(origin: string | undefined, reason: SubscriptionEnd): Promise<void> {
		await this.#end(origin === undefined ? {} : { origin }, reason);
	}

	async #end(target: SubscriptionTarget, reason: SubscriptionEnd): Promise<boolean> {
		const parsed = parseUnsubscribe(target, reason);
		const ended = await callObject(this.#namespace(), true, (stub) =>
			stub.unsubscribe(parsed.target, parsed.reason),
		);
		return ended > 0;
	}
}
