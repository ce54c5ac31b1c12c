import { SyncLayer, type SyncLayerOptions } from '@tmcp/session-manager-durable-objects';

class MySyncLayer extends SyncLayer {
	static override readonly options: SyncLayerOptions = {
		maxSubscriptions: 16_384,
		maxSubscriptionsPerOwner: 1_000,
		maxResourcesPerSubscription: 1_000,
		maxResourcesPerSession: 1_000, // of `resources/subscribe`, with DurableObjectInfoSessionManager
		maxSessions: 100_000, // those that have ended and are not forgotten yet included
		maxSessionsPerOwner: 1_000, // 5,000 at most
		sessionTtl: 604_800, // seconds that a session without a stream and without a request is known
		unusedSessionTtl: 600, // seconds, for one that never came back after its `initialize`
		log: { maxCount: 10_000, maxBytes: 16 * 1024 * 1024, maxAge: 3_600 }, // seconds; false: no log
	};
}

export { MySyncLayer as SyncLayer };
