/** What `SyncLayer` answers by RPC. */
import type { InfoChange, SubscriptionEnd } from './arguments.ts';

/** Where a stream stands in the log that it opens on. */
export interface LogPosition {
	/** Event ids of this log begin with it: `<shard>.<epoch>.`. */
	eventIdPrefix: string;
	/** The stream gets what comes after this event. */
	after: number;
	/** `false` where that may not be all that the session has missed. */
	recovered: boolean;
}

/** The answer of `SyncLayer.admitWithInfo`, where the session is admitted. */
export interface Admitted {
	/** What is known of the client, as `SyncLayer.infoOf` answers it. */
	info: string | undefined;
	/** Where a change is to follow: `inform` of this session. Dispose it, or the object stays awake. */
	session?: Rpc.RpcTargetBranded & { inform(changes: readonly InfoChange[]): void };
	/** Where a stream is to follow: as `attach` answers it. */
	upgradeKey?: string | undefined;
}

/** The answer of `SyncLayer.attach`. */
export interface Attached {
	/** The session: as it was given, or the UUID that was made for it. */
	sessionId: string;
	/** Names this one stream of the session, for `SyncLayer.detach`. */
	connectionId: string;
	/** Opens one socket, once, within `ticketTtlMs`. */
	ticket: string;
	/** How long the ticket is valid, in milliseconds. */
	ticketTtlMs: number;
	/** Whether the session has an open stream, which ends when the ticket is redeemed. */
	supersedes: boolean;
	/** Where the stream would start at this moment; `undefined` without a log. */
	log: LogPosition | undefined;
	/**
	 * The key of the object, where that was asked for. With it the managers open streams in one request, which brings claim and
	 * upgrade. It is a secret between Workers and object, and always the same. `undefined` for a class without SQLite.
	 */
	upgradeKey?: string | undefined;
}

/** The answer of `SyncLayer.subscribe`. */
export type Subscribed =
	| {
			kind: 'subscribed';
			/** Opens one socket, once, within `ticketTtlMs`. */
			ticket: string;
			/** How long the ticket is valid, in milliseconds. */
			ticketTtlMs: number;
			/** When the subscription began, for `resume`: an end after that is not missed between two sockets. */
			began: number;
	  }
	/** The origin has a subscription of this id already; nothing was changed. */
	| { kind: 'duplicate' }
	/** The subscription was ended while it was opening or coming back; nothing was changed. */
	| { kind: 'ended'; reason: SubscriptionEnd };

/**
 * What became of an answer that was given to `SyncLayer.answer`:
 * - `taken`: it was the first answer; the Worker that asked has it, or gets it when it reconnects
 * - `ignored`: no request of this session waits for it
 * - `lost`: it was the first answer, but the Worker that asked is gone
 */
export type AnswerOutcome = 'taken' | 'ignored' | 'lost';

/** The answer of `SyncLayer.broadcast`. */
export interface BroadcastResult {
	/** How many sessions' open streams the payload was handed to. */
	delivered: number;
	/**
	 * For how many of the named sessions, which have no open stream, it waits in the log. `undefined` for a broadcast to all:
	 * it waits for every session that has begun, which `stats()` counts.
	 */
	waiting: number | undefined;
	/**
	 * How many sessions will not get it: of the named ones those that have ended, and those without an open stream where the
	 * log is off or the payload is over the 2 MB that it keeps.
	 */
	missed: number;
	/** Set where it was sent before with the same id, within a minute: then nothing was sent, and all counts are 0. */
	duplicate?: true;
}

/** The answer of `SyncLayer.relay`. */
export interface Relayed {
	/** Of the first home: the labels of all homes. */
	homes: readonly string[];
	/** What each broadcast of the call did. */
	broadcasts: BroadcastResult[];
	/** How many times a notification was handed to a stream. */
	published: number;
	/** Whether the session was its owner's, and has ended. */
	ended: boolean;
	/** How many subscriptions were ended. */
	unsubscribed: number;
	/** The sessions that are subscribed to the resource. */
	subscribers: string[];
	/** Whether nothing lives in the object: no stream, and no session that it remembers, for ten minutes at least. */
	isVacant: boolean;
}

/** One session of `SyncLayer.listSessions`. */
export interface SessionSummary {
	sessionId: string;
	/** `begun`: it has had no stream yet; `away`: it has none at this moment. */
	state: 'begun' | 'open' | 'away';
	/** What its client said of itself (`name`, `version`, …), where a `DurableObjectInfoSessionManager` keeps it. */
	client: object | undefined;
	/** How many events wait for it. */
	waiting: number;
	/** When it expires without a request, in milliseconds since 1970; `undefined` while its stream is open. */
	expiresAt: number | undefined;
}

/** The answer of `SyncLayer.stats`. */
export interface SyncLayerStats {
	/** Open streams. */
	streams: number;
	/** Sessions that have one. */
	sessions: number;
	/** Open `subscriptions/listen` streams. */
	subscriptions: number;
	/** What is kept for sessions that come back; `undefined` where the log is off. */
	log:
		| {
				/** Events, and their bytes. */
				events: number;
				bytes: number;
				/** Sessions that have begun, have not ended, and have no stream. */
				waiting: number;
				/** How often a stream came back for what was no longer in the log, since the object woke. */
				gaps: number;
		  }
		| undefined;
}
