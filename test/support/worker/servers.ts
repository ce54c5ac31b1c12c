/** The tmcp servers under test, behind the transports, unmodified, with our managers; and what they saw. */
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { HttpTransport } from '@tmcp/transport-http';
import { SseTransport } from '@tmcp/transport-sse';
import { env } from 'cloudflare:workers';
import { McpServer } from 'tmcp';
import * as v from 'valibot';
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
} from '../../../src/index.ts';
import { slowKV } from './slow-kv.ts';

export const RESOURCE = 'memo://board';

/** The log levels and client names that tools saw, by session: what `ctx.sessionInfo` came to. */
export const seen: { sessionId: string | undefined; logLevel: unknown; client: unknown }[] = [];
/** The requests that servers sent to clients. */
export const requestsToClients: { method: string }[] = [];

function makeServer(): McpServer<v.GenericSchema> {
	const server = new McpServer(
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
	const done = { content: [{ type: 'text' as const, text: 'done' }] };
	server.tool({ name: 'announce', description: 'tells every client at once' }, () => {
		server.changed('tools');
		return done;
	});
	server.tool({ name: 'update', description: 'tells the subscribers of the board' }, () => {
		server.changed('resource', RESOURCE);
		return done;
	});
	server.tool({ name: 'look', description: 'records what is known of the caller' }, () => {
		const { sessionId, sessionInfo } = server.ctx;
		seen.push({
			sessionId,
			logLevel: sessionInfo?.logLevel,
			client: sessionInfo?.clientInfo?.name,
		});
		return done;
	});
	server.tool(
		{ name: 'ask', description: 'asks the client for its roots and says how many' },
		async () => {
			// The answer comes in another request. A request that waits for nothing of its own is cancelled as hung.
			const limit = scheduler.wait(5_000).then(() => 'no answer');
			const answer = await Promise.race([server.request({ method: 'roots/list' }), limit]);
			return { content: [{ type: 'text' as const, text: JSON.stringify(answer) }] };
		},
	);
	server.resource({ name: 'board', description: 'a board', uri: RESOURCE }, (uri) => ({
		contents: [{ uri, text: 'empty' }],
	}));
	server.on('send', ({ request }) => requestsToClients.push({ method: request.method }));
	return server;
}

const KEEP_ALIVE_MS = 200;

function managers(kv: KVNamespace | undefined) {
	const info = new KVInfoSessionManager(kv);
	const streams = new DurableObjectStreamSessionManager(undefined, {
		keepAlive: KEEP_ALIVE_MS,
		info,
	});
	return { info, streams };
}

/** KV as a distant Worker sees it: 100 ms for each read. */
export const distantKV = slowKV(env.TMCP_SESSION_INFO, 100);

const subscriptionManager = new DurableObjectSubscriptionManager();

export const http = new HttpTransport(makeServer(), {
	path: '/mcp',
	sessionManager: managers(undefined),
	subscriptionManager,
});
export const slow = new HttpTransport(makeServer(), {
	path: '/slow',
	sessionManager: managers(distantKV),
	subscriptionManager,
});
export const sse = new SseTransport(makeServer(), {
	path: '/sse',
	endpoint: '/message',
	sessionManager: managers(undefined),
});

/** Streams without the transports' 409, so that a newer one can take an older one's place. */
const takeover = managers(undefined).streams;

export function takeoverStream(request: Request): Response {
	const id = new URL(request.url).searchParams.get('id') ?? '';
	const body = new ReadableStream<Uint8Array>({
		start: (controller) => takeover.create(id, controller),
		cancel: () => takeover.delete(id),
	});
	return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}
