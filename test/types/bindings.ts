/** Checked by `tsc`: what compiles and what does not, where `Cloudflare.Env` is declared (test/env.d.ts). */
import type { InfoSessionManager, StreamSessionManager } from '@tmcp/session-manager';
import {
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
