/** Checked by `tsc`: what compiles and what does not, where `Cloudflare.Env` is declared (test/env.d.ts). */
import type { InfoSessionManager, StreamSessionManager } from '@tmcp/session-manager';
import {
	DurableObjectSessions,
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
	SyncLayer,
} from '@tmcp/session-manager-durable-objects';

class Subclass extends SyncLayer {}
declare const subclasses: DurableObjectNamespace<Subclass>;
declare const env: Cloudflare.Env;

export const streams: StreamSessionManager[] = [
	new DurableObjectStreamSessionManager(),
	new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT'),
	new DurableObjectStreamSessionManager(env.TMCP_DURABLE_OBJECT),
	new DurableObjectStreamSessionManager(subclasses),
	// @ts-expect-error a KV namespace is no Durable Object namespace
	new DurableObjectStreamSessionManager('TMCP_SESSION_INFO'),
	// @ts-expect-error there is no such binding
	new DurableObjectStreamSessionManager('NOT_BOUND'),
	// @ts-expect-error nor is the namespace itself
	new DurableObjectStreamSessionManager(env.TMCP_SESSION_INFO),
];

export const info: InfoSessionManager[] = [
	new KVInfoSessionManager(),
	new KVInfoSessionManager('TMCP_SESSION_INFO'),
	new KVInfoSessionManager(env.TMCP_SESSION_INFO),
	// @ts-expect-error a Durable Object namespace is no KV namespace
	new KVInfoSessionManager('TMCP_DURABLE_OBJECT'),
	// @ts-expect-error there is no such binding
	new KVInfoSessionManager('NOT_BOUND'),
];

/** The stub is typed for any Worker that is bound to the object. */
export async function callFromAnotherWorker(): Promise<number> {
	const object = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
	const open: boolean = await object.has('id');
	const { delivered, missed } = await object.broadcast(open ? ['id'] : undefined, 'data');
	const ended: boolean = await object.detach('id', { connectionId: crypto.randomUUID() });
	const { sessionId, ticket } = await object.attach();
	const { streams: count } = await object.stats();
	// @ts-expect-error the payload is a string
	await object.broadcast(undefined, 1);
	return delivered + missed + count + Number(ended) + sessionId.length + ticket.length;
}

/** What is missing, or does not go together, is known before anything runs. */
export const sessions: DurableObjectSessions[] = [
	new DurableObjectSessions(),
	new DurableObjectSessions({ binding: env.TMCP_DURABLE_OBJECT, info: 'object' }),
	new DurableObjectSessions({ info: 'kv' }),
	new DurableObjectSessions({ info: 'kv', kv: env.TMCP_SESSION_INFO, syncLayer: Subclass }),
	// @ts-expect-error there is no such binding
	new DurableObjectSessions({ binding: 'NOT_BOUND' }),
	// @ts-expect-error nor is there such a store
	new DurableObjectSessions({ info: 'redis' }),
	// @ts-expect-error without KV there is nothing to bind
	new DurableObjectSessions({ info: 'object', kv: env.TMCP_SESSION_INFO }),
	// @ts-expect-error it is said once, for all
	new DurableObjectSessions({ gateway: { path: '/mcp' } }),
	// @ts-expect-error the path is a string
	new DurableObjectSessions({ path: 1 }),
];
