/**
 * What a server needs: the Durable Object, the managers, and the gateway that stands in front of the transport.
 *
 * @module main
 */

/** The Durable Object: export it from your Worker, and call it by RPC from any other. */
export { SyncLayer } from './object/sync-layer.ts';
export type { SyncLayerOptions } from './object/options.ts';
export type { BroadcastResult, SessionSummary, SyncLayerStats } from './wire/answers.ts';
export type {
	BroadcastInput,
	BroadcastOptions,
	ListOptions,
	Notification,
	SendOptions,
	SubscriptionEnd,
	SubscriptionTarget,
} from './wire/arguments.ts';
export { MAX_BROADCAST_BYTES, MAX_SESSION_ID_CHARS } from './wire/limits.ts';
export { SYNC_LAYER_NAME } from './wire/names.ts';

/** All of the below, from one set of options. */
export {
	DurableObjectSessions,
	type DurableObjectSessionsOptions,
} from './durable-object-sessions.ts';

/** The managers: what tmcp's transports take as `sessionManager` and `subscriptionManager`. */
export {
	DurableObjectStreamSessionManager,
	type StreamSessionManagerOptions,
} from './worker/streams/durable-object-stream-session-manager.ts';
export {
	type InfoSessionManagerOptions,
	KVInfoSessionManager,
} from './worker/info/kv-info-session-manager.ts';
export {
	DurableObjectInfoSessionManager,
	type ObjectInfoSessionManagerOptions,
} from './worker/info/durable-object-info-session-manager.ts';
export {
	DurableObjectSubscriptionManager,
	type SubscriptionManagerOptions,
	type SubscriptionName,
} from './worker/listen/durable-object-subscription-manager.ts';

/** The objects that share the sessions, where there are many. */
export { SessionHomes, type SessionHomesOptions } from './worker/routing/homes.ts';

/** Around the transport: what it leaves undone for clients with sessions, and what keeps open responses alive. */
export { SessionGateway, type SessionGatewayOptions } from './worker/gateway/session-gateway.ts';
export { type KeepAliveOptions, withKeepAlive } from './worker/streams/keep-alive.ts';

/** What goes wrong, by code. */
export {
	SESSION_MANAGER_ERROR_CODES,
	SessionManagerError,
	type SessionManagerErrorCode,
} from './errors.ts';
