/** The same tmcp server with each way to keep what is known of a session; and what each asked of objects and of KV. */
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import type { InfoSessionManager, StreamSessionManager } from '@tmcp/session-manager';
import { HttpTransport } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import * as peer from 'peer';
import { McpServer } from 'tmcp';
import type { GenericSchema } from 'valibot';
import type { SyncLayerNamespace } from '../../../src/advanced.ts';
import {
	DurableObjectInfoSessionManager,
	DurableObjectSessions,
	type DurableObjectSessionsOptions,
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
	SessionGateway,
	type SessionGatewayOptions,
} from '../../../src/index.ts';

export const RESOURCES = ['memo://1', 'memo://2', 'memo://3'] as const;

/** What was asked, in order: `kv put`, `rpc admit`, … */
export const calls: string[] = [];
/** The arguments of what was asked of an object. */
export const sent: unknown[][] = [];
/** What was known of the callers of the tool `look`, and how much had been asked by then. */
export const seen: { client: string | undefined; logLevel: unknown; calls: number }[] = [];

/** The same, and each call of a method is noted. */
function noted<Target extends object>(target: Target, kind: string): Target {
	return new Proxy(target, {
		get(_, name) {
			const method: unknown = Reflect.get(target, name);
			if (typeof method !== 'function') return method;
			return (...args: unknown[]) => {
				calls.push(`${kind} ${String(name)}`);
				sent.push(args);
				return Reflect.apply(method, target, args);
			};
		},
	});
}

/** Objects of its own, under another name. */
function objectsOf<Namespace extends DurableObjectNamespace>(
	namespace: Namespace,
	name: string,
): Namespace {
	return new Proxy(namespace, {
		get: (target, property) =>
			property === 'getByName'
				? () => noted(namespace.getByName(name), 'rpc')
				: Reflect.get(target, property),
	});
}

function makeServer(): McpServer<GenericSchema> {
	const server = new McpServer<GenericSchema>(
		{ name: 'test', version: '1.0.0', description: 'test' },
		{
			adapter: new ValibotJsonSchemaAdapter(),
			capabilities: {
				tools: { listChanged: true },
				resources: { subscribe: true, listChanged: true },
				logging: {},
			},
		},
	);
	for (const uri of RESOURCES) {
		server.resource({ name: uri, description: 'a memo', uri }, () => ({
			contents: [{ uri, text: 'empty' }],
		}));
	}
	server.tool(
		{ name: 'update', description: 'tells the subscribers of the first memo' },
		async () => {
			server.changed('resource', RESOURCES[0]);
			// What the existing package does about it would end with the request.
			await scheduler.wait(100);
			return { content: [] };
		},
	);
	server.tool({ name: 'look', description: 'records what is known of the caller' }, () => {
		const { sessionInfo } = server.ctx;
		seen.push({
			client: sessionInfo?.clientInfo?.name,
			logLevel: sessionInfo?.logLevel,
			calls: calls.length,
		});
		return { content: [] };
	});
	return server;
}

type Respond = (request: Request) => Promise<Response | null>;

/** @param gateway where there is to be one */
function serve(
	path: string,
	sessionManager: { streams: StreamSessionManager; info: InfoSessionManager },
	gateway?: { objects: SyncLayerNamespace } & Pick<SessionGatewayOptions, 'info'>,
): Respond {
	const transport = new HttpTransport(makeServer(), { path, sessionManager });
	if (!gateway) return (request) => transport.respond(request);
	const { objects, ...options } = gateway;
	const guarded = new SessionGateway(transport, objects, { path, ...options });
	return (request) => guarded.respond(request);
}

const kv = noted(env.TMCP_SESSION_INFO, 'kv');
const objects = (name: string) => objectsOf(env.TMCP_DURABLE_OBJECT, name);

function withKV(name: string): Respond {
	const info = new KVInfoSessionManager(kv);
	const streams = new DurableObjectStreamSessionManager(objects(name), { info });
	return serve(name, { streams, info });
}

function withObject(name: string, isPlain = false): Respond {
	const of = objects(name);
	const info = new DurableObjectInfoSessionManager(of);
	const streams = new DurableObjectStreamSessionManager(of);
	return serve(name, isPlain ? { streams, info } : info.with(streams));
}

/** All of it, as the README's first Worker has it: with a manager of listen streams, too, which nobody uses here. */
function composed(name: string, where: Pick<DurableObjectSessionsOptions, 'info'>): Respond {
	const options = { binding: objects(name), path: name, kv, ...where };
	const sessions = new DurableObjectSessions(options);
	const gateway = sessions.gateway(new HttpTransport(makeServer(), sessions.transport));
	return (request) => gateway.respond(request);
}

function changedOver(name: string): Respond {
	const of = objects(name);
	const info = new DurableObjectInfoSessionManager(of, {
		fallback: new KVInfoSessionManager(kv),
	});
	const streams = new DurableObjectStreamSessionManager(of);
	return serve(name, info.with(streams), { objects: of, info });
}

/** It looks for its bindings in `env`. */
function withPeer(name: string): Respond {
	Reflect.set(env, 'PEER_KV_NOTED', noted(env.PEER_SESSION_INFO, 'kv'));
	Reflect.set(env, 'PEER_OBJECT_NOTED', objectsOf(env.PEER_OBJECT, name));
	const info = new peer.KVInfoSessionManager('PEER_KV_NOTED');
	const streams = new peer.DurableObjectStreamSessionManager('PEER_OBJECT_NOTED');
	return serve(name, { streams, info });
}

const subjects: Record<string, Respond> = {
	'/lives/peer': withPeer('/lives/peer'),
	'/lives/kv': withKV('/lives/kv'),
	'/lives/kv-gateway': composed('/lives/kv-gateway', { info: 'kv' }),
	'/lives/object': withObject('/lives/object'),
	'/lives/object-gateway': composed('/lives/object-gateway', { info: 'object' }),
	'/lives/object-plain': withObject('/lives/object-plain', true),
	'/lives/changed-over': changedOver('/lives/changed-over'),
};

/** @returns `null` for other paths */
export async function respondForLives(request: Request): Promise<Response | null> {
	return (await subjects[new URL(request.url).pathname]?.(request)) ?? null;
}
