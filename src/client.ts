/**
 * For Workers beside the server: they reach its clients without tmcp in their bundle.
 *
 * @module client
 */
export {
	type AllStats,
	type ListedSession,
	type Notified,
	type ServerNotification,
	type SessionPage,
	SyncLayerClient,
	type SyncLayerClientOptions,
} from './worker/client/sync-layer-client.ts';
export { SessionHomes, type SessionHomesOptions } from './worker/routing/homes.ts';
export type { BroadcastResult, SessionSummary, SyncLayerStats } from './wire/answers.ts';
export type { Notification } from './wire/arguments.ts';
export { SessionManagerError, type SessionManagerErrorCode } from './errors.ts';
