import { matchesSubscription } from '@tmcp/session-manager';
import * as v from 'valibot';
import { CloseCode } from '../protocol.ts';
import {
	type Notification,
	type SubscriptionEnd,
	type SubscriptionInput,
	SubscriptionSchema,
	type SubscriptionTarget,
} from '../schemas.ts';
import { type Attachment, writeAttachment } from './attachment.ts';
import { FilterStore } from './filter-store.ts';
import { deliver, type OpenSocket, openSockets } from './sockets.ts';
import {
	audienceTags,
	originTag,
	SUBSCRIPTION_TAG,
	subscriptionTags,
} from './subscription-tags.ts';

const CLOSE_CODES = {
	closed: CloseCode.subscriptionClosed,
	cancelled: CloseCode.subscriptionCancelled,
} as const;

/**
 * What goes into a socket's attachment. It takes 16,384 bytes, serialised
 * (https://developers.cloudflare.com/durable-objects/api/websockets/): two for each character, and the names of the fields.
 */
const MAX_ATTACHED_CHARS = 6_000;

/** The `subscriptions/listen` streams of one object: hibernating sockets, each of which knows its filter. */
export class Subscriptions {
	#ctx: DurableObjectState;
	#large: FilterStore;
	#swept = false;

	constructor(ctx: DurableObjectState) {
		this.#ctx = ctx;
		this.#large = new FilterStore(ctx.storage);
	}

	get count(): number {
		return this.#ctx.getWebSockets(SUBSCRIPTION_TAG).filter(isOpen).length;
	}

	/** The open sockets of one subscription, of one origin, or all. */
	find(target: SubscriptionTarget): OpenSocket<'subscription'>[] {
		const tag = 'origin' in target ? originTag(target.origin) : SUBSCRIPTION_TAG;
		return openSockets(this.#ctx, 'subscription', tag).filter(({ attachment }) => {
			const subscription = this.#subscriptionOf(attachment);
			return subscription !== undefined && isTarget(subscription, target);
		});
	}

	/** Take over the object's end of a subscription's socket. */
	accept(socket: WebSocket, connectionId: string, subscription: SubscriptionInput): void {
		this.#forgetTheGone();
		const text = JSON.stringify(subscription);
		const isLarge = text.length > MAX_ATTACHED_CHARS;
		if (isLarge) this.#large.put(connectionId, text);
		try {
			this.#ctx.acceptWebSocket(socket, subscriptionTags(subscription));
		} catch (error) {
			this.#large.delete(connectionId);
			throw error;
		}
		if (isLarge) writeAttachment(socket, { kind: 'subscription', connectionId });
		else writeAttachment(socket, { kind: 'subscription', connectionId, subscription });
	}

	/** Hand each notification to each subscription that asked for it. @returns how many times one was handed over */
	publish(notifications: readonly Notification[]): number {
		let delivered = 0;
		for (const notification of notifications) {
			const data = JSON.stringify(notification);
			for (const socket of this.#audience(notification)) if (deliver(socket, data)) delivered++;
		}
		return delivered;
	}

	/** @returns how many there were */
	end(target: SubscriptionTarget, reason: SubscriptionEnd): number {
		const ending = this.find(target);
		for (const { socket, attachment } of ending) {
			socket.close(CLOSE_CODES[reason], reason);
			this.forget(attachment);
		}
		return ending.length;
	}

	/** Leave nothing of a subscription whose socket is gone. */
	forget(attachment: Extract<Attachment, { kind: 'subscription' }>): void {
		if (!attachment.subscription) this.#large.delete(attachment.connectionId);
	}

	#audience(notification: Notification): Set<WebSocket> {
		const audience = new Set<WebSocket>();
		for (const tag of audienceTags(notification)) {
			for (const { socket, attachment } of openSockets(this.#ctx, 'subscription', tag)) {
				const subscription = this.#subscriptionOf(attachment);
				if (subscription && matchesSubscription(subscription.filters, notification))
					audience.add(socket);
			}
		}
		return audience;
	}

	#subscriptionOf(
		attachment: Extract<Attachment, { kind: 'subscription' }>,
	): SubscriptionInput | undefined {
		if (attachment.subscription) return attachment.subscription;
		const stored = this.#large.get(attachment.connectionId);
		return stored === undefined ? undefined : v.parse(SubscriptionSchema, JSON.parse(stored));
	}

	/** Once in the life of an instance: one that was replaced by a deploy was not told of its sockets' end. */
	#forgetTheGone(): void {
		if (this.#swept) return;
		this.#swept = true;
		const open = openSockets(this.#ctx, 'subscription', SUBSCRIPTION_TAG);
		this.#large.keepOnly(new Set(open.map(({ attachment }) => attachment.connectionId)));
	}
}

function isOpen(socket: WebSocket): boolean {
	return socket.readyState === WebSocket.OPEN;
}

/** Whether a subscription is one of those that a target names. A string and a number are different ids. */
export function isTarget(subscription: SubscriptionInput, target: SubscriptionTarget): boolean {
	if (!('origin' in target)) return true;
	if (subscription.origin !== target.origin) return false;
	return target.id === undefined || subscription.id === target.id;
}
