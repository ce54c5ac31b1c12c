/**
 * For code that holds a stream itself, or puts something of its own in the place of a part of this library. A server needs
 * only the main entry.
 *
 * @module advanced
 */

/** A stream by hand: `SyncLayer.attach` or `SyncLayer.subscribe` makes a ticket, and these open and read its WebSocket. */
export { openSocket } from './worker/connection/open-socket.ts';
export { CloseCode } from './wire/close-codes.ts';
export { decodeFrame, type Frame } from './wire/frames.ts';
export type {
	Admitted,
	AnswerOutcome,
	Attached,
	LogPosition,
	Relayed,
	Subscribed,
} from './wire/answers.ts';
export type {
	AskOptions,
	AttachOptions,
	BeginOptions,
	DetachOptions,
	InfoChange,
	InfoInput,
	QuestionInput,
	RelayInput,
	SubscribeOptions,
	SubscriptionInput,
} from './wire/arguments.ts';

/** What the managers and the gateway take, for a transport, a session store or a binding of one's own. */
export type {
	GatewayTransport,
	SessionAdmitter,
	SessionPrefetcher,
} from './worker/gateway/session-gateway.ts';
export type { SessionKeeper, StreamController } from './worker/streams/client-stream.ts';
export type { KVBinding, SyncLayerBinding, SyncLayerNamespace } from './worker/routing/binding.ts';
