import { SyncLayer, type SyncLayerOptions } from '@tmcp/session-manager-durable-objects';

class MySyncLayer extends SyncLayer {
	static override readonly options: SyncLayerOptions = {
		maxSubscriptions: 16_384,
		sessionTtl: 604_800, // seconds that a session without a stream and without a request is known
		log: { maxCount: 10_000, maxBytes: 16 * 1024 * 1024, maxAge: 3_600 }, // seconds; false: no log
	};
}

export { MySyncLayer as SyncLayer };
