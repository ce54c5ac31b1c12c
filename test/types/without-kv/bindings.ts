/** Where `Cloudflare.Env` has no KV namespace of the default name, info in KV has to say which one it is. */
import { DurableObjectSessions, type SyncLayer } from '@tmcp/session-manager-durable-objects';

declare global {
	namespace Cloudflare {
		interface Env {
			TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
		}
	}
}
declare const namespace: KVNamespace;

export const sessions = [
	new DurableObjectSessions(),
	new DurableObjectSessions({ info: 'object' }),
	new DurableObjectSessions({ info: 'kv', kv: namespace }),
	// @ts-expect-error which one?
	new DurableObjectSessions({ info: 'kv' }),
	// @ts-expect-error there is no such binding
	new DurableObjectSessions({ info: 'kv', kv: 'TMCP_SESSION_INFO' }),
];
