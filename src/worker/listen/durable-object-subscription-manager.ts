import type {
	Subscription,
	SubscriptionCallbacks,
	SubscriptionManager,
} from '@tmcp/session-manager';
import * as v from 'valibot';
import * as channels from '../../diagnostics/channels.ts';
import { publishFailure } from '../../diagnostics/failure.ts';
import { traceArgument } from '../../diagnostics/trace.ts';
import { broadcastBytes, MAX_BROADCAST_BYTES } from '../../wire/limits.ts';
import { type Homes, homesOf, type SessionHomes } from '../routing/homes.ts';
import { answersOf, publishSent } from '../routing/send.ts';
import { DEFAULT_MAX_LIFETIME_MS, LifetimeSchema } from '../connection/lifetime.ts';
import {
	isOrigin,
	normaliseNotification,
	type Notification,
	parseSubscription,
	parseUnsubscribe,
	type SubscriptionEnd,
	type SubscriptionInput,
	type SubscriptionTarget,
} from '../../wire/arguments.ts';
import { functionSchema, parseOptions } from '../../wire/options.ts';
import { hold } from '../request/hold.ts';
import { currentScope, type Ended, tellsHomes } from '../request/request-scope.ts';
import { Listener } from './listener.ts';
import { Outbox } from '../request/outbox.ts';
import { FailureReport, report } from '../request/report.ts';

const OptionsSchema = v.strictObject({
	maxLifetime: v.optional(LifetimeSchema, DEFAULT_MAX_LIFETIME_MS),
	onGap: v.optional(functionSchema<(subscription: SubscriptionName) => void>(), () => () => {}),
	onError: v.optional(
		functionSchema<(error: unknown) => void>(),
		() => (error: unknown) => console.error(error),
	),
});

/** Identifies a subscription: an origin has at most one with a given id. */
export interface SubscriptionName {
	origin: string;
	id: string | number;
}

/** Options of {@link DurableObjectSubscriptionManager}. */
export interface SubscriptionManagerOptions {
	/**
	 * How long a listen stream lives at most, in milliseconds (default 86,400,000: a day; 2,147,483,647 at most, or
	 * `Infinity`). After a random time between half of that and all of it, it is complete: what was sent until then, then its
	 * result, then its end. A client that still wants to hear listens again, and reads anew what it had been told of: the
	 * protocol has no way back to the place of an ended listen.
	 *
	 * A day, because the official SDK 2.4 does not listen again by itself, while a stream that a client has forgotten should
	 * not stay for ever.
	 */
	maxLifetime?: number;
	/** Called for each subscription that lost events, because it came back after the log had cut them (default: nothing). */
	onGap?: (subscription: SubscriptionName) => void;
	/**
	 * Called once for each failure that no caller sees (default: `console.error`): a notification that could not be sent
	 * (`HttpTransport` drops the rejection of `send`), a callback of a listen stream that failed, a listen stream that could
	 * not come back at once.
	 */
	onError?: (error: unknown) => void;
}

/**
 * Serves `subscriptions/listen` (MCP 2026-07-28) from any Worker instance: whichever instance sends, each listener gets the
 * notifications that it asked for, once each, and those of one request in order. Give it to tmcp's `HttpTransport`, and
 * keep its responses alive with {@link withKeepAlive}, which a subscription manager cannot do:
 *
 * ```ts
 * const transport = new HttpTransport(server, {
 * 	subscriptionManager: new DurableObjectSubscriptionManager('TMCP_DURABLE_OBJECT'),
 * });
 * ```
 *
 * Safe to construct at module scope: each listen stream opens its own socket, in its own request. When the object restarts
 * (a deploy, an eviction), a listen stream comes back by itself within half a second, or after pauses of up to 30 seconds
 * where that fails, and gets what was sent meanwhile.
 *
 * All its work is held with `waitUntil`. Every method rejects with a `SessionManagerError`: its own codes, and
 * `BINDING_MISSING`, `BINDING_WRONG_KIND`, `OBJECT_FAILED`.
 */
export class DurableObjectSubscriptionManager implements SubscriptionManager {
	#homes: SessionHomes;
	#maxLifetime: number;
	#failures: FailureReport;
	#onGap: (subscription: SubscriptionName) => void;
	#outbox = new Outbox<Notification>((batch) => this.#publish(batch), MAX_BROADCAST_BYTES);

	/**
	 * @param binding name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), the namespace itself, or
	 * {@link SessionHomes}: then a subscription has its home by the hash of its origin and id; with `placement`, behind a
	 * gateway, in the region of its request, so that an origin may have one of each id in each region
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(binding?: Homes, options?: SubscriptionManagerOptions) {
		this.#homes = homesOf(binding);
		const parsed = parseOptions(OptionsSchema, options, 'DurableObjectSubscriptionManager');
		this.#maxLifetime = parsed.maxLifetime;
		this.#failures = new FailureReport(parsed.onError);
		this.#onGap = parsed.onGap;
	}

	/**
	 * Open a listen stream: acknowledge it, then send it what matches, until it is closed. What is sent before it is
	 * acknowledged follows the acknowledgement. One that asks for nothing (or for nothing that the server offers) is
	 * acknowledged and complete at once, and the object never hears of it.
	 * @returns `false` where the origin has a subscription of that id already; a string and a number are different ids
	 * @throws `INVALID_ARGUMENT`, `TOO_MANY_SUBSCRIPTIONS`, `OWNER_LIMIT_REACHED`, `OBJECT_FULL`, and what `acknowledge` throws
	 */
	create(subscription: Subscription, callbacks: SubscriptionCallbacks): Promise<boolean> {
		return hold(this.#create(subscription, callbacks));
	}

	/**
	 * Send a notification to every subscription that asked for it, wherever its stream is. Notifications of one request
	 * arrive in order.
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
		const { origin, id, filters } = subscription;
		if (!asksForAnything(filters)) {
			await callbacks.acknowledge();
			await callbacks.close('closed');
			return true;
		}
		const { account, cf } = currentScope() ?? {};
		const listener = new Listener(callbacks, {
			subscription,
			account,
			home: await this.#homes.toBeginByHash(JSON.stringify([origin, id]), cf),
			maxLifetime: this.#maxLifetime,
			onGap: () => void report(this.#onGap, { origin, id }),
			onError: (error) => this.#tell(error),
		});
		return listener.start();
	}

	async #send(input: Notification): Promise<void> {
		try {
			const notification = normaliseNotification(input);
			const bytes = broadcastBytes(undefined, JSON.stringify(notification));
			await this.#outbox.add(notification, bytes);
		} catch (error) {
			this.#tell(error);
			throw error;
		}
	}

	async #publish(notifications: readonly Notification[]): Promise<void> {
		const options = { id: crypto.randomUUID() };
		const since = Date.now();
		const trace = traceArgument();
		const called = await this.#homes.callAll((stub) =>
			stub.relay({ publish: { notifications, options } }, ...trace),
		);
		const answers = answersOf(called, () => 'all its listeners');
		if (!channels.delivered.hasSubscribers) return;
		publishSent(
			notifications.map((of) => JSON.stringify(of)),
			answers,
			since,
		);
	}

	#tell(error: unknown): void {
		if (this.#failures.tell(error)) publishFailure(error);
	}

	async #endAll(origin: string | undefined, reason: SubscriptionEnd): Promise<void> {
		if (tellsHomes(this.#homes)) return;
		// HttpTransport passes any session id that a client sent. One that cannot be an origin has no subscriptions.
		if (origin !== undefined && !isOrigin(origin)) return;
		const { homes, ended } = currentScope() ?? {};
		// Where the gateway has ended the session that is the origin, its home has ended these as well.
		const isDone = homes === this.#homes && ended?.session === origin;
		await this.#end(origin === undefined ? {} : { origin }, reason, isDone ? ended : undefined);
	}

	async #end(target: SubscriptionTarget, reason: SubscriptionEnd, done?: Ended): Promise<boolean> {
		const parsed = parseUnsubscribe(target, reason);
		const options = { id: crypto.randomUUID() };
		const unsubscribe = { target: parsed.target, reason: parsed.reason, options };
		const called = await this.#homes.callAll((stub) => stub.relay({ unsubscribe }), [], done);
		const answers = answersOf(called, () => 'its listeners');
		return answers.some(({ unsubscribed }) => unsubscribed > 0);
	}
}

function asksForAnything({
	resourceSubscriptions = [],
	...lists
}: SubscriptionInput['filters']): boolean {
	return resourceSubscriptions.length > 0 || Object.values(lists).includes(true);
}
