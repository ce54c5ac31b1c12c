/** The Durable Object: export it from your Worker, and call it by RPC from any other. */
export { SyncLayer } from './object/sync-layer.ts';
export type { SyncLayerOptions } from './object/options.ts';
export type {
	Attached,
	BroadcastResult,
	LogPosition,
	Subscribed,
	SyncLayerStats,
} from './wire/answers.ts';
export type {
	AttachOptions,
	BroadcastInput,
	DetachOptions,
	Notification,
	SendOptions,
	SubscribeOptions,
	SubscriptionEnd,
	SubscriptionInput,
	SubscriptionTarget,
} from './wire/arguments.ts';

/** The managers: what tmcp's transports take as `sessionManager`. */
export {
	DurableObjectStreamSessionManager,
	type StreamSessionManagerOptions,
} from './worker/streams/durable-object-stream-session-manager.ts';
export type { SessionKeeper, StreamController } from './worker/streams/client-stream.ts';
export {
	KVInfoSessionManager,
	type InfoSessionManagerOptions,
} from './worker/info/kv-info-session-manager.ts';

export {
	DurableObjectSubscriptionManager,
	type SubscriptionManagerOptions,
	type SubscriptionName,
} from './worker/listen/durable-object-subscription-manager.ts';

/** The gateway: what the transports leave undone for session-based clients. */
export {
	type GatewayTransport,
	SessionGateway,
	type SessionGatewayOptions,
	type SessionPrefetcher,
} from './worker/gateway/session-gateway.ts';

export { type KeepAliveOptions, withKeepAlive } from './worker/streams/keep-alive.ts';

/** Opening a stream by hand, with a ticket of `SyncLayer.attach`. */
export { openSocket } from './worker/connection/open-socket.ts';
export {
	CloseCode,
	decodeFrame,
	type Frame,
	MAX_BROADCAST_BYTES,
	MAX_SESSION_ID_CHARS,
	SYNC_LAYER_NAME,
	TICKET_TTL_MS,
} from './wire/protocol.ts';

/** What a constructor takes as binding. */
export type { KVBinding, SyncLayerBinding, SyncLayerNamespace } from './worker/routing/binding.ts';

/** What goes wrong, by code. */
export {
	SESSION_MANAGER_ERROR_CODES,
	SessionManagerError,
	type SessionManagerErrorCode,
} from './errors.ts';
