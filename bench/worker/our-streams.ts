import { DurableObjectStreamSessionManager, type SyncLayer } from '../../src/index.ts';
import type { Streams } from './streams.ts';

/** Keep-alive comments would be sent while an object is to fall asleep; the peer has none. */
const NO_KEEP_ALIVE_MS = 3_600_000;

export function ourStreams(env: {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
}): Streams {
	return new DurableObjectStreamSessionManager(env.TMCP_DURABLE_OBJECT, {
		keepAlive: NO_KEEP_ALIVE_MS,
	});
}
