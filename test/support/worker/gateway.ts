/** tmcp servers behind a gateway; and what each asked of the object and of KV. */
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { HttpTransport, type HttpTransportOptions } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { McpServer } from 'tmcp';
import type { GenericSchema } from 'valibot';
import type { SyncLayerNamespace } from '../../../src/advanced.ts';
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SessionGateway,
	type SessionGatewayOptions,
	type StreamSessionManagerOptions,
	type SubscriptionManagerOptions,
} from '../../../src/index.ts';

/** What was begun and ended, in that order: `+rpc admit`, `-rpc admit`, `+kv getWithMetadata`, … */
export const journal: string[] = [];
/** What was known of the callers of the tool `look`. */
export const seen: { sessionId: string | undefined; logLevel: unknown; client: unknown }[] = [];

const SLOW_MS = 20;

/** The same object, whose methods are noted, and take a while. */
function noted<Target extends object>(target: Target, kind: string): Target {
	return new Proxy(target, {
		get(_, name) {
			const method: unknown = Reflect.get(target, name);
			if (typeof method !== 'function') return method;
			return async (...args: unknown[]) => {
				const call = `${kind} ${String(name)}`;
				journal.push(`+${call}`);
				try {
					await scheduler.wait(SLOW_MS);
					return await Reflect.apply(method, target, args);
				} finally {
					journal.push(`-${call}`);
				}
			};
		},
	});
}

function notedObjects(namespace: SyncLayerNamespace): SyncLayerNamespace {
	return new Proxy(namespace, {
		get: (target, name) =>
			name === 'getByName'
				? (of: string) => noted(namespace.getByName(of), 'rpc')
				: Reflect.get(target, name),
	});
}

function makeServer(
	info: KVInfoSessionManager,
): McpServer<GenericSchema, { user: string } | undefined> {
	const server = new McpServer<GenericSchema, { user: string } | undefined>(
		{ name: 'test', version: '1.0.0', description: 'test' },
		{
			adapter: new ValibotJsonSchemaAdapter(),
			capabilities: { tools: { listChanged: true }, logging: {} },
		},
	);
	server.tool({ name: 'announce', description: 'tells every client' }, () => {
		server.changed('tools');
		return { content: [] };
	});
	server.tool({ name: 'look', description: 'records what is known of the caller' }, () => {
		const { sessionId, sessionInfo } = server.ctx;
		const client = sessionInfo?.clientInfo?.name;
		seen.push({ sessionId, logLevel: sessionInfo?.logLevel, client });
		return { content: [] };
	});
	server.tool(
		{ name: 'quieten', description: 'records the log level once it has set it' },
		async () => {
			const { sessionId = '' } = server.ctx;
			await info.setLogLevel(sessionId, 'critical');
			seen.push({ sessionId, logLevel: await info.getLogLevel(sessionId), client: undefined });
			return { content: [] };
		},
	);
	server.tool({ name: 'ponder', description: 'takes its time' }, async () => {
		await scheduler.wait(300);
		return { content: [] };
	});
	server.tool({ name: 'whoami', description: 'says what the Worker passed on' }, () => {
		const text = server.ctx.custom?.user ?? 'nobody';
		return { content: [{ type: 'text', text }] };
	});
	return server;
}

interface Setup {
	namespace?: SyncLayerNamespace;
	gateway?: SessionGatewayOptions;
	transport?: HttpTransportOptions;
	streams?: StreamSessionManagerOptions;
	listen?: SubscriptionManagerOptions;
}

const owner = (request: Request) => request.headers.get('x-user') ?? undefined;

function serve(
	path: string,
	{ namespace = env.TMCP_DURABLE_OBJECT, gateway, transport, streams: ofStreams, listen }: Setup,
) {
	const objects = notedObjects(namespace);
	const info = new KVInfoSessionManager(noted(env.TMCP_SESSION_INFO, 'kv'));
	const streams = new DurableObjectStreamSessionManager(objects, {
		keepAlive: 200,
		...ofStreams,
	});
	const sessionManager = { streams, info };
	return new SessionGateway(
		new HttpTransport(makeServer(info), {
			path,
			sessionManager,
			subscriptionManager: new DurableObjectSubscriptionManager(namespace, listen),
			...transport,
		}),
		objects,
		{ path, info, owner, ...gateway },
	);
}

const gateways = [
	serve('/gateway', {}),
	serve('/gateway/409', { gateway: { takeover: false } }),
	serve('/gateway/short', { namespace: env.SHORT_SESSIONS }),
	serve('/gateway/limited', { namespace: env.LIMITED }),
	serve('/gateway/keep-alive', { gateway: { keepAlive: 30 } }),
	serve('/gateway/short-lives', {
		streams: { maxLifetime: 400 },
		listen: { maxLifetime: 400 },
	}),
	serve('/gateway/legacy', { namespace: env.LEGACY_SYNC_LAYER }),
	serve('/gateway/cors', { transport: { cors: true, allowedOrigins: ['https://good.example'] } }),
	serve('/gateway/one-id', {
		gateway: { sessionIds: 'transport' },
		transport: { getSessionId: () => 'always-the-same' },
	}),
];

/** @returns `null` where no gateway serves the path */
export async function respondBehindGateway(request: Request): Promise<Response | null> {
	const user = owner(request);
	for (const gateway of gateways) {
		const response = await gateway.respond(request, user === undefined ? undefined : { user });
		if (response) return response;
	}
	return null;
}
