import { matchesSubscription } from '@tmcp/session-manager';
import * as v from 'valibot';
import { CloseCode, encodeFrame } from '../../wire/protocol.ts';
import {
	type Notification,
	NotificationSchema,
	type SubscriptionEnd,
	type SubscriptionInput,
	type SubscriptionTarget,
} from '../../wire/arguments.ts';
import { type Attachment, writeAttachment } from '../sockets/attachment.ts';
import { FilterStore } from './filter-store.ts';
import type { History } from '../log/history.ts';
import type { ReplayStart } from '../log/replay.ts';
import type { SentIds } from '../log/sent-ids.ts';
import { acceptSocket, deliver, type OpenSocket, openSockets } from '../sockets/sockets.ts';
import {
	audienceTag,
	filterTag,
	needsFilterStore,
	originTag,
	SUBSCRIPTION_TAG,
	subscriptionTags,
	updatedUri,
} from './subscription-tags.ts';

const CLOSE_CODES = {
	closed: CloseCode.subscriptionClosed,
	cancelled: CloseCode.subscriptionCancelled,
} as const;

type SubscriptionAttachment = Extract<Attachment, { kind: 'subscription' }>;

const USED_KEY = 'tmcp:subscriptions';

/** The `subscriptions/listen` streams of one object: hibernating sockets, each of which knows its filter. */
export class Subscriptions {
	#ctx: DurableObjectState;
	#history: History | undefined;
	#sent: SentIds;
	#filters: FilterStore;
	#swept = false;
	/** At least as many as are open; counted anew where it matters. */
	#countAtMost: number | undefined;

	constructor(ctx: DurableObjectState, history: History | undefined, sent: SentIds) {
		this.#ctx = ctx;
		this.#history = history;
		this.#sent = sent;
		this.#filters = new FilterStore(ctx.storage);
	}

	get count(): number {
		const count = this.#ctx.getWebSockets(SUBSCRIPTION_TAG).filter(isOpen).length;
		this.#countAtMost = count;
		return count;
	}

	/** Whether there are as many as that. They are rarely counted for it. */
	isFull(max: number): boolean {
		return (this.#countAtMost ?? this.count) >= max && this.count >= max;
	}

	/** The open sockets of one subscription, of one origin, or all. */
	find(target: SubscriptionTarget): OpenSocket<'subscription'>[] {
		const tag = 'origin' in target ? originTag(target.origin) : SUBSCRIPTION_TAG;
		return openSockets(this.#ctx, 'subscription', tag).filter(({ attachment }) =>
			isTarget(attachment.subscription, target),
		);
	}

	/**
	 * Take over the object's end of a subscription's socket, hand it what the subscription missed, if it comes back, and
	 * end the socket that it had before.
	 * @returns where the stream starts
	 * @throws `OBJECT_FULL`, and `INVALID_ARGUMENT` where it lacks the SQLite that a large filter needs
	 */
	open(
		socket: WebSocket,
		connectionId: string,
		subscription: SubscriptionInput,
		lastEventId: string | undefined,
	): ReplayStart | undefined {
		this.#forgetTheGone();
		if (this.#history && !this.#isUsed) this.#ctx.storage.kv.put(USED_KEY, true);
		const older = this.find(subscription);
		const filterId = needsFilterStore(subscription) ? crypto.randomUUID() : undefined;
		if (filterId !== undefined) {
			this.#filters.put(filterId, subscription.filters.resourceSubscriptions ?? []);
		}
		try {
			acceptSocket(this.#ctx, socket, subscriptionTags(subscription, filterId));
		} catch (error) {
			if (filterId !== undefined) this.#filters.delete(filterId);
			throw error;
		}
		writeAttachment(socket, attachmentOf(connectionId, subscription, filterId));
		this.#countAtMost = (this.#countAtMost ?? this.count) + 1;
		const start = this.#history?.serveSubscription(lastEventId, (event) => {
			if (isFor(subscription, event.data)) deliver(socket, encodeFrame(event));
		});
		for (const before of older) {
			before.socket.close(CloseCode.superseded, 'superseded by a newer socket');
			this.forget(before.attachment);
		}
		return start;
	}

	/** Hand each notification to each subscription that asked for it. @returns how many times one was handed over */
	publish(notifications: readonly Notification[], id: string | undefined): number {
		if (this.#sent.has(id)) return 0;
		const history = this.#isUsed ? this.#history : undefined;
		const append = () =>
			notifications.map((notification) => {
				const data = JSON.stringify(notification);
				const seq = history?.append({ kind: 'subscriptions' }, data, id).seq;
				return { notification, frame: encodeFrame({ seq, data }) };
			});
		// Where one cannot be kept, none is sent, so that all can be sent again.
		const sent = history ? history.atOnce(append) : append();
		this.#sent.add(id);
		let delivered = 0;
		for (const { notification, frame } of sent) {
			for (const socket of this.#audience(notification)) if (deliver(socket, frame)) delivered++;
		}
		return delivered;
	}

	/** @returns those that were ended */
	end(target: SubscriptionTarget, reason: SubscriptionEnd): SubscriptionAttachment[] {
		return this.find(target).map(({ socket, attachment }) => {
			socket.close(CLOSE_CODES[reason], reason);
			this.forget(attachment);
			return attachment;
		});
	}

	/** Leave nothing of a socket that is gone. */
	forget({ filterId }: SubscriptionAttachment): void {
		if (filterId !== undefined) this.#filters.delete(filterId);
	}

	/** Whether there ever was a subscription. As long as there was none, what is published need not be kept for one. */
	get #isUsed(): boolean {
		return this.#history !== undefined && this.#ctx.storage.kv.get(USED_KEY) === true;
	}

	#audience(notification: Notification): WebSocket[] {
		const tag = audienceTag(notification);
		const candidates = tag === undefined ? [] : openSockets(this.#ctx, 'subscription', tag);
		const audience = candidates.filter(({ attachment }) =>
			matchesSubscription(attachment.subscription.filters, notification),
		);
		const uri = updatedUri(notification);
		const filterIds = uri === undefined ? [] : this.#filters.find(uri);
		const listed = filterIds.flatMap((filterId) =>
			openSockets(this.#ctx, 'subscription', filterTag(filterId)),
		);
		return [...audience, ...listed].map(({ socket }) => socket);
	}

	/** Once in the life of an instance: one that was replaced by a deploy was not told of its sockets' end. */
	#forgetTheGone(): void {
		if (this.#swept) return;
		this.#swept = true;
		const open = openSockets(this.#ctx, 'subscription', SUBSCRIPTION_TAG);
		const filterIds = open.flatMap(({ attachment }) => attachment.filterId ?? []);
		this.#filters.keepOnly(new Set(filterIds));
	}
}

/** Resources that are in the `FilterStore` are not in the attachment. */
function attachmentOf(
	connectionId: string,
	subscription: SubscriptionInput,
	filterId: string | undefined,
): SubscriptionAttachment {
	const { id, origin, filters } = subscription;
	if (filterId === undefined) return { kind: 'subscription', connectionId, subscription };
	const { resourceSubscriptions: _, ...lists } = filters;
	return {
		kind: 'subscription',
		connectionId,
		filterId,
		subscription: { id, origin, filters: lists },
	};
}

/** Whether a notification of the log is one that the subscription asked for. A place without one is for all. */
function isFor({ filters }: SubscriptionInput, data: string): boolean {
	return data === '' || matchesSubscription(filters, v.parse(NotificationSchema, JSON.parse(data)));
}

function isOpen(socket: WebSocket): boolean {
	return socket.readyState === WebSocket.OPEN;
}

/** Whether a subscription is one of those that a target names. A string and a number are different ids. */
export function isTarget(subscription: SubscriptionInput, target: SubscriptionTarget): boolean {
	if (!('origin' in target)) return true;
	if (subscription.origin !== target.origin) return false;
	return !('id' in target) || subscription.id === target.id;
}
