/** Where `Cloudflare.Env` has no `TMCP_DURABLE_OBJECT`, the options have to say which binding it is. */
import { DurableObjectSessions, type SyncLayer } from '@tmcp/session-manager-durable-objects';

declare global {
	namespace Cloudflare {
		interface Env {
			STREAMS: DurableObjectNamespace<SyncLayer>;
			TMCP_SESSION_INFO: KVNamespace;
		}
	}
}

export const sessions = [
	new DurableObjectSessions({ binding: 'STREAMS' }),
	new DurableObjectSessions({ binding: 'STREAMS', info: 'kv' }),
	// @ts-expect-error which one?
	new DurableObjectSessions(),
	// @ts-expect-error which one?
	new DurableObjectSessions({ path: null }),
	// @ts-expect-error there is no such binding
	new DurableObjectSessions({ binding: 'TMCP_DURABLE_OBJECT' }),
];
