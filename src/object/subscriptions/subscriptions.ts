import { matchesSubscription } from '@tmcp/session-manager';
import * as v from 'valibot';
import * as channels from '../../diagnostics/channels.ts';
import {
	type Notification,
	NotificationSchema,
	type SubscriptionEnd,
	type SubscriptionInput,
	type SubscriptionTarget,
	type WrittenNotification,
} from '../../wire/arguments.ts';
import { CloseCode } from '../../wire/close-codes.ts';
import { encodeFrame } from '../../wire/frames.ts';
import type { ListenerSummary } from '../../wire/inspection.ts';
import { byteLength } from '../../wire/limits.ts';
import type { Alarm } from '../alarm.ts';
import { here } from '../here.ts';
import type { EventLog } from '../log/event-log.ts';
import { type ReplayStart, replayStart } from '../log/replay.ts';
import type { SentIds } from '../log/sent-ids.ts';
import { type AttachmentOf, writeAttachment } from '../sockets/attachment.ts';
import { acceptSocket, deliver, isOpen, type OpenSocket, openSockets } from '../sockets/sockets.ts';
import { FilterStore } from './filter-store.ts';
import { type EndedTarget, SubscriptionEnds } from './subscription-ends.ts';
import {
	audienceTag,
	filterTag,
	needsFilterStore,
	originTag,
	ownerTag,
	SUBSCRIPTION_TAG,
	subscriptionTags,
	updatedUri,
} from './subscription-tags.ts';

const CLOSE_CODES = {
	closed: CloseCode.subscriptionClosed,
	cancelled: CloseCode.subscriptionCancelled,
} as const;

/** How much of a subscription's resources an operator is shown: so many, of so many characters each. */
const LISTED_URIS = 5;
const LISTED_URI_CHARS = 200;

/** So much of a long list of resources is read for that. */
const LISTED_CHARS = 4_000;

type SubscriptionAttachment = AttachmentOf<'subscription'>;

/** A subscription whose socket is to be opened. */
export interface SubscriptionRequest {
	connectionId: string;
	subscription: SubscriptionInput;
	/** The last event that it has, where it comes back. */
	lastEventId: string | undefined;
	/** By which those of one owner are counted. */
	account: string | undefined;
}

/** Set with the first subscription: until then notifications are not logged. */
const USED_KEY = 'tmcp:subscriptions';

/** After a restart connections come back within this time, in milliseconds: then the rows of those that did not go. */
const SWEEP_DELAY_MS = 120_000;

/** The `subscriptions/listen` streams of one object: hibernating sockets, each with its filter in its attachment. */
export class Subscriptions {
	#ctx: DurableObjectState;
	#log: EventLog | undefined;
	#sent: SentIds;
	#alarm: Alarm;
	#filters: FilterStore;
	readonly ends: SubscriptionEnds;
	#isUsed = false;
	#sweepAt: number | undefined;
	#hasSwept = false;
	/** At least as many as are open; counted anew where it matters. */
	#countAtMost: number | undefined;

	constructor(
		ctx: DurableObjectState,
		sql: SqlStorage | undefined,
		log: EventLog | undefined,
		sent: SentIds,
		alarm: Alarm,
	) {
		this.#ctx = ctx;
		this.#log = log;
		this.#sent = sent;
		this.#alarm = alarm;
		this.#filters = new FilterStore(sql);
		this.ends = new SubscriptionEnds(sql);
	}

	get count(): number {
		const count = this.#ctx.getWebSockets(SUBSCRIPTION_TAG).filter(isOpen).length;
		this.#countAtMost = count;
		return count;
	}

	/** How many one owner has. */
	countOf(account: string): number {
		return this.#ctx.getWebSockets(ownerTag(account)).filter(isOpen).length;
	}

	/** Whether there are as many as that. They are rarely counted for it. */
	isFull(max: number): boolean {
		return (this.#countAtMost ?? this.count) >= max && this.count >= max;
	}

	/**
	 * Open subscriptions after one, in the order of their connections. Looks at each socket, in memory, and reads a row for
	 * each of the page whose resources are in the `FilterStore`.
	 */
	page(after: string, limit: number): ListenerSummary[] {
		return openSockets(this.#ctx, 'subscription', SUBSCRIPTION_TAG)
			.map(({ attachment }) => attachment)
			.filter(({ connectionId }) => connectionId > after)
			.toSorted((one, other) => (one.connectionId < other.connectionId ? -1 : 1))
			.slice(0, limit)
			.map(({ connectionId, filterId, subscription: { id, filters } }) => {
				const { resourceSubscriptions: named = [], ...lists } = filters;
				const all = { uris: named.slice(0, LISTED_URIS), count: named.length };
				const { uris, count } =
					filterId === undefined ? all : this.#filters.first(filterId, LISTED_CHARS);
				return {
					connectionId,
					id,
					lists,
					resources: uris.slice(0, LISTED_URIS).map((uri) => uri.slice(0, LISTED_URI_CHARS)),
					resourceCount: count,
				};
			});
	}

	/** The open sockets of one subscription, of one origin, or all. */
	find(target: SubscriptionTarget): OpenSocket<'subscription'>[] {
		const tag = 'origin' in target ? originTag(target.origin) : SUBSCRIPTION_TAG;
		return openSockets(this.#ctx, 'subscription', tag).filter(({ attachment }) =>
			Subscriptions.isTarget(attachment.subscription, target),
		);
	}

	/** Whether a subscription is one of those that a target names. A string and a number are different ids. */
	static isTarget(subscription: SubscriptionInput, target: SubscriptionTarget): boolean {
		if (!('origin' in target)) return true;
		if (subscription.origin !== target.origin) return false;
		return !('id' in target) || subscription.id === target.id;
	}

	/**
	 * Take over the object's end of a subscription's socket, hand it what the subscription missed, if it comes back, and
	 * end the socket that it had before.
	 * @returns where the stream starts
	 * @throws `OBJECT_FULL`, and `INVALID_ARGUMENT` where it lacks the SQLite that a large filter needs
	 */
	open(socket: WebSocket, request: SubscriptionRequest): ReplayStart | undefined {
		const { connectionId, subscription, account } = request;
		this.#use();
		const older = this.find(subscription);
		const filterId = needsFilterStore(subscription) ? connectionId : undefined;
		if (filterId !== undefined) {
			this.#filters.put(filterId, subscription.filters.resourceSubscriptions ?? []);
			this.#scheduleSweep();
		}
		acceptSocket(this.#ctx, socket, subscriptionTags(subscription, filterId, account));
		writeAttachment(socket, attachmentOf(connectionId, subscription, filterId));
		this.#countAtMost = (this.#countAtMost ?? this.count) + 1;
		const start = this.#replay(socket, request);
		for (const before of older) {
			before.socket.close(CloseCode.superseded, 'superseded by a newer socket');
			if (before.attachment.filterId !== filterId) this.forget(before.attachment);
		}
		return start;
	}

	/** Hand each notification to each subscription that asked for it. @returns how many times one was handed over */
	publish(notifications: readonly WrittenNotification[], id: string | undefined): number {
		if (this.#sent.has(id)) return 0;
		const log = this.#log && this.#wasUsed() ? this.#log : undefined;
		const append = () =>
			notifications.map(({ notification, json: data }) => {
				const seq = log?.append({ kind: 'subscriptions' }, data, Date.now(), id).seq;
				return { notification, data, frame: encodeFrame({ seq, data }) };
			});
		// Where one cannot be kept, none is sent, so that all can be sent again.
		const sent = log && notifications.length > 1 ? this.#atOnce(append, log) : append();
		this.#sent.add(id);
		let delivered = 0;
		for (const { notification, data, frame } of sent) {
			const before = delivered;
			for (const socket of this.#audience(notification)) if (deliver(socket, frame)) delivered++;
			if (!channels.delivered.hasSubscribers) continue;
			channels.delivered.publish({
				...here(this.#ctx),
				audience: 'listeners',
				bytes: byteLength(data),
				delivered: delivered - before,
				waiting: undefined,
				missed: 0,
			});
		}
		return delivered;
	}

	/** @returns those that were ended */
	end(target: SubscriptionTarget, reason: SubscriptionEnd): SubscriptionAttachment[] {
		const ended = this.#close(this.find(target), reason);
		const isWhollyTold = 'id' in target && ended.length > 0;
		if (!isWhollyTold) this.#noteEnd(target, reason);
		return ended;
	}

	/** Cancel those of one owner: one that is between two sockets is told when it comes back. @returns those that were open */
	endOf(account: string): SubscriptionAttachment[] {
		const ended = this.#close(
			openSockets(this.#ctx, 'subscription', ownerTag(account)),
			'cancelled',
		);
		this.#noteEnd({ account }, 'cancelled');
		return ended;
	}

	/** Leave nothing of a socket that is gone. */
	forget({ filterId }: SubscriptionAttachment): void {
		if (filterId === undefined) return;
		const others = this.#ctx.getWebSockets(filterTag(filterId)).filter(isOpen);
		if (others.length === 0) this.#filters.delete(filterId);
	}

	/**
	 * Delete what outlasted the subscriptions that it was kept for.
	 * @returns when to do that next, in milliseconds since 1970; `undefined` where there is nothing to sweep
	 */
	sweep(now: number): number | undefined {
		if (this.#sweepAt !== undefined && this.#sweepAt > now) return this.#sweepAt;
		this.#sweepAt = this.ends.purge(now);
		const open = openSockets(this.#ctx, 'subscription', SUBSCRIPTION_TAG);
		const filterIds = open.flatMap(({ attachment }) => attachment.filterId ?? []);
		this.#filters.keepOnly(new Set(filterIds));
		return this.#sweepAt;
	}

	#close(
		open: readonly OpenSocket<'subscription'>[],
		reason: SubscriptionEnd,
	): SubscriptionAttachment[] {
		return open.map(({ socket, attachment }) => {
			socket.close(CLOSE_CODES[reason], reason);
			this.forget(attachment);
			return attachment;
		});
	}

	/** For those that have no socket at this moment. */
	#noteEnd(target: EndedTarget, reason: SubscriptionEnd): void {
		if (!this.#wasUsed()) return;
		this.ends.note(target, reason, Date.now());
		this.#scheduleSweep();
	}

	#replay(
		socket: WebSocket,
		{ subscription, lastEventId }: SubscriptionRequest,
	): ReplayStart | undefined {
		if (!this.#log) return undefined;
		const { extent } = this.#log;
		const { head } = extent;
		const start = replayStart(extent, lastEventId, {
			after: head,
			needs: head,
			since: 0,
		});
		let { recovered } = start;
		const missed = start.after < head ? this.#log.missedBySubscriptions(start.after) : [];
		const tally = channels.replayed.hasSubscribers ? new channels.Tally() : undefined;
		for (const { seq, data } of missed) {
			if (data === null) recovered = false;
			else if (isFor(subscription, data)) {
				deliver(socket, encodeFrame({ seq, data }));
				tally?.add(data);
			}
		}
		deliver(socket, encodeFrame({ seq: head, data: '' }));
		this.#log.noteReplay({ stream: 'listen' }, tally, recovered);
		return { after: start.after, recovered };
	}

	#atOnce<T>(work: () => T, log: EventLog): T {
		try {
			return this.#ctx.storage.transactionSync(work);
		} catch (error) {
			log.reload();
			throw error;
		}
	}

	#use(): void {
		if (this.#wasUsed()) return;
		this.#isUsed = true;
		if (this.#log) this.#ctx.storage.kv.put(USED_KEY, true);
	}

	#wasUsed(): boolean {
		this.#isUsed ||= this.#log !== undefined && this.#ctx.storage.kv.get(USED_KEY) === true;
		return this.#isUsed;
	}

	/** Once in the life of an instance for what an earlier one left; and for each end that has to expire. */
	#scheduleSweep(): void {
		if (this.#hasSwept && this.#sweepAt !== undefined) return;
		this.#hasSwept = true;
		this.#sweepAt = Date.now() + SWEEP_DELAY_MS;
		this.#alarm.schedule(this.#sweepAt);
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
}

/** Resources that are in the `FilterStore` are not in the attachment. */
function attachmentOf(
	connectionId: string,
	subscription: SubscriptionInput,
	filterId: string | undefined,
): SubscriptionAttachment {
	if (filterId === undefined) return { kind: 'subscription', connectionId, subscription };
	const { id, origin, filters } = subscription;
	const { resourceSubscriptions: _, ...lists } = filters;
	return {
		kind: 'subscription',
		connectionId,
		filterId,
		subscription: { id, origin, filters: lists },
	};
}

/** Whether a notification of the log is one that the subscription asked for. */
function isFor({ filters }: SubscriptionInput, data: string): boolean {
	return matchesSubscription(filters, v.parse(NotificationSchema, JSON.parse(data)));
}
