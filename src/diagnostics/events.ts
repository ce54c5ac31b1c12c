import type { SessionManagerErrorCode } from '../errors.ts';
import type { AnswerOutcome } from '../wire/answers.ts';
import type { TraceContext } from './trace.ts';

/** The names of all events; each has a channel of its own: see {@link channelName}. A name never changes its meaning. */
export const EVENT_NAMES = [
	'attached',
	'superseded',
	'delivered',
	'waiting',
	'replayed',
	'paused',
	'gap',
	'retry',
	'answered',
	'refused',
	'error',
] as const;

/** One of {@link EVENT_NAMES}. */
export type EventName = (typeof EVENT_NAMES)[number];

/** What has a socket to the object: the GET of a session, a `subscriptions/listen`, or a POST whose server asks its client. */
export type StreamKind = 'session' | 'listen' | 'answers';

/**
 * Why something was refused: what the gateway says to a request, or the code of an error.
 *
 * `host`: not one of `allowedHosts`; `inUrl`: a session id in the URL; `tooSlow`, `tooLarge`: the body of a POST, or an answer;
 * `clientInvalid`, `clientTooLarge`: what a message tells of its client; `unreadable`: an `initialize` that the server cannot read; `missing`, `unknown`: the session; `lost`: an answer whose server instance has died.
 */
export type RefusalReason =
	| 'host'
	| 'inUrl'
	| 'tooSlow'
	| 'tooLarge'
	| 'clientInvalid'
	| 'clientTooLarge'
	| 'unreadable'
	| 'missing'
	| 'unknown'
	| 'lost'
	| SessionManagerErrorCode;

/** What all events have. */
interface Common<Name extends EventName, Side extends 'worker' | 'object'> {
	name: Name;
	/** When it happened, in milliseconds since 1970. The clock of a Worker stands still between two I/O operations. */
	at: number;
	/** Who tells of it. Where Worker and object are one script, one isolate may tell of both sides. */
	side: Side;
	/**
	 * The home, as session ids name it (`0`, `weur-3`); of an object with a name of its own, that name. `undefined` where it is
	 * no single one, or not known.
	 */
	home: string | undefined;
	/**
	 * The first 8 characters of the SHA-256 of the session id, in base64url, as in error texts: the id itself is a credential.
	 * `undefined` where it is no single session.
	 */
	session: string | undefined;
	/** Of the request that it belongs to, where its client sent one. */
	trace: TraceContext | undefined;
}

/** A stream has its socket: messages reach it from now on. */
export type AttachedEvent = {
	stream: StreamKind;
	/** Whether all that was missed follows: otherwise there is a {@link GapEvent} too. */
	recovered: boolean;
} & (
	| Common<'attached', 'object'>
	| (Common<'attached', 'worker'> & {
			/** Whether it had a socket before, and comes back: after a deploy, or because its client reads again. */
			isBack: boolean;
			/** How long the call and the upgrade took, in milliseconds. */
			durationMs: number;
	  })
);

/** A newer stream of the same session has taken the place of this one. */
export type SupersededEvent = Common<'superseded', 'worker' | 'object'> & { stream: StreamKind };

/** What was sent. The object tells of each message, a Worker of each call of its own. */
export type DeliveredEvent = {
	/** Of the messages, as UTF-8, without the ids that they are addressed to. */
	bytes: number;
	/** To how many open streams it was handed; of several messages, in sum. */
	delivered: number;
	/** For how many named sessions it waits in the log. `undefined` for a message to all: those are not counted. */
	waiting: number | undefined;
	/** How many sessions will not get it: those that have ended, and those that are away where it is not kept. */
	missed: number;
} & (
	| (Common<'delivered', 'object'> & { audience: 'all' | 'sessions' | 'listeners' })
	| (Common<'delivered', 'worker'> & {
			messages: number;
			/** How many objects were called. */
			homes: number;
			/** How long the calls took, in milliseconds. */
			durationMs: number;
	  })
);

/** A message waits in the log for sessions that it names and that have no stream. */
export type WaitingEvent = Common<'waiting', 'object'> & {
	/** For how many. */
	waiting: number;
	bytes: number;
};

/** A stream was handed what was sent before it opened. */
export type ReplayedEvent = Common<'replayed', 'object'> & {
	stream: StreamKind;
	messages: number;
	bytes: number;
};

/** A client reads slowly: its Worker has closed the socket until it has read, and messages wait in the log. */
export type PausedEvent = Common<'paused', 'worker'> & {
	/** How many bytes wait for it in the Worker; a message counts for 1 KiB beside its text. */
	bytes: number;
};

/** The log does not reach back to where a stream was: messages may be lost. */
export type GapEvent = Common<'gap', 'worker' | 'object'> & { stream: StreamKind };

/** Something failed, and is tried again. */
export type RetryEvent = Common<'retry', 'worker'> & {
	/** A call of the object, the socket of a stream, or a write to KV. */
	of: 'call' | 'stream' | 'kv';
	/** How many tries there were, or of a socket how many pauses: from 1. */
	tries: number;
	/** How long the pause before the next one is, in milliseconds. */
	pauseMs: number;
	/** `undefined` where the failure has no code: it is the platform's, or a socket was closed. */
	code: SessionManagerErrorCode | undefined;
};

/** A request of the server to its client is over. */
export type AnsweredEvent =
	/** See `AnswerOutcome`. */
	| (Common<'answered', 'object'> & { outcome: AnswerOutcome })
	| (Common<'answered', 'worker'> & {
			/** `expired`: no answer came in time; `abandoned`: none can come, or the server has withdrawn its request. */
			outcome: 'taken' | 'expired' | 'abandoned';
			/** How long it was asked, in milliseconds. */
			durationMs: number;
	  });

/** A Worker has refused a request, or an object a stream, a session, a ticket or a key. */
export type RefusedEvent = { reason: RefusalReason } & (
	| Common<'refused', 'object'>
	| (Common<'refused', 'worker'> & {
			/** Of the response; `undefined` where the reason is an error that the caller got. */
			status: number | undefined;
	  })
);

/** Something failed for good. Its message is where it always was: with the caller, `onError` or the log. */
export type ErrorEvent = Common<'error', 'worker' | 'object'> & {
	/** `undefined` for an error that is not ours. */
	code: SessionManagerErrorCode | undefined;
};

/** What this library tells of; `name` and `side` tell which it is. */
export type SessionEvent =
	| AttachedEvent
	| SupersededEvent
	| DeliveredEvent
	| WaitingEvent
	| ReplayedEvent
	| PausedEvent
	| GapEvent
	| RetryEvent
	| AnsweredEvent
	| RefusedEvent
	| ErrorEvent;

/** The event of a name. */
export type EventOf<Name extends EventName> = Extract<SessionEvent, { name: Name }>;

/** The name of an event's channel of `node:diagnostics_channel`. */
export function channelName<Name extends EventName>(name: Name): `tmcp:sessions:${Name}` {
	return `tmcp:sessions:${name}`;
}
