/** What `SyncLayer.inspect` answers by RPC, for an operator's page. */
import type { SubscriptionInput } from './arguments.ts';

/** Most sessions, listen streams or events in one answer. */
export const MAX_INSPECTED = 100;
export const INSPECTED_BY_DEFAULT = 25;

/** One session. Its id is a credential. */
export interface InspectedSession {
	sessionId: string;
	/** `begun`: it has had no stream yet; `away`: its stream is gone; `detached`: its stream was closed by the server. */
	state: 'begun' | 'open' | 'away' | 'detached';
	/** What its client calls itself, where a `DurableObjectInfoSessionManager` keeps it: at most 100 characters each. */
	client: { name: string; version: string } | undefined;
	/** In milliseconds since 1970; `undefined` where the gateway has not made its id. */
	begunAt: number | undefined;
	/** The last event that its stream was handed, or that it began after. */
	position: number;
	/** How many events wait for it, among the newest 1,000 of the log. */
	waiting: number;
	/** Whether its position is before those: then more may wait. */
	mayWaitForMore: boolean;
	/** When it expires without a request, in milliseconds since 1970; `undefined` while its stream is open. */
	expiresAt: number | undefined;
}

/** One `subscriptions/listen` stream. */
export interface ListenerSummary {
	connectionId: string;
	/** The id of its request, as its client chose it. */
	id: string | number;
	/** Which lists it wants to hear of. */
	lists: Omit<SubscriptionInput['filters'], 'resourceSubscriptions'>;
	/** The first 5 of the resources that it names, 200 characters of each. */
	resources: string[];
	resourceCount: number;
}

/** One event of the log. */
export interface InspectedEvent {
	seq: number;
	/** In milliseconds since 1970. */
	at: number;
	/** For whom it is. `lost`: no event, but a mark that the object lost its streams (a deploy, a crash). */
	audience: 'all' | 'sessions' | 'subscriptions' | 'lost';
	/** How many sessions it names, where the audience is `sessions`. */
	named: number | undefined;
	/** Payload and addressees. */
	bytes: number;
	/** Of the JSON-RPC message, where the first 2,000 characters tell it. */
	method: string | undefined;
	/** The first 2,000 characters, where they were asked for. */
	payload: string | undefined;
}

/** A page of a list. */
export interface InspectedPage<Item> {
	items: Item[];
	/** `after` of the next page; `undefined` on the last one. */
	next: string | undefined;
}

/** The answer of `SyncLayer.inspect`. */
export interface Inspected {
	/** Open streams of sessions. */
	streams: number;
	/** Open `subscriptions/listen` streams. */
	listeners: number;
	/** Sessions that the object knows, those that have ended and are not forgotten yet included; at most: up to 63 too many for each wake since they were counted. */
	known: number;
	/** `undefined` where the log is off. `head` is the position of the newest event that there ever was. */
	log: { events: number; bytes: number; head: number; gaps: number } | undefined;
	/** What was asked for. */
	sessions: InspectedPage<InspectedSession> | undefined;
	listenerPage: InspectedPage<ListenerSummary> | undefined;
	/** Newest first. */
	events: InspectedEvent[] | undefined;
}
