/**
 * A server that asks its client, behind the gateway, with frequent keep-alives only where a client wants them. Two Workers run
 * it on one SyncLayer, as two instances do.
 */
import {
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
	SessionGateway,
	SyncLayer,
	withKeepAlive,
} from '@tmcp/session-manager-durable-objects';
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import { tool } from 'tmcp/utils';
import * as v from 'valibot';

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<AskedSyncLayer>;
}

export class AskedSyncLayer extends SyncLayer {
	/** What it holds for those who wait for an answer, and all of its open sockets. */
	held() {
		const { storage } = this.ctx;
		const open = this.ctx.getWebSockets().filter((socket) => socket.readyState === WebSocket.OPEN);
		const rows = storage.sql.exec('SELECT * FROM tmcp_questions').toArray().length;
		return { rows, askers: open.filter(isAsker).length };
	}

	/** Throw this instance away, as a deploy does. */
	replace(): void {
		this.ctx.abort('replaced');
	}
}

function isAsker(socket: WebSocket): boolean {
	return JSON.stringify(socket.deserializeAttachment()).includes('"asker"');
}

const server = new McpServer(
	{ name: 'asking', version: '1.0.0', description: 'asks its client' },
	{ adapter: new ValibotJsonSchemaAdapter(), capabilities: { tools: {} } },
);

server.tool(
	{ name: 'order', description: 'asks how much', schema: v.object({ what: v.string() }) },
	async ({ what }) => {
		const { content } = await server.elicitation(what, v.object({ amount: v.number() }));
		return tool.text(`${content?.amount} of ${what}`);
	},
);

server.tool(
	{ name: 'ask', description: 'asks again and again', schema: v.object({ times: v.number() }) },
	async ({ times }) => {
		for (let nth = 1; nth <= times; nth++) {
			await server.request({ method: 'test/ask', params: { nth } });
		}
		return tool.text(`asked ${times} times`);
	},
);

const info = new KVInfoSessionManager('TMCP_SESSION_INFO');
const streams = new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', { info });
const transport = new HttpTransport(server, { path: '/mcp', sessionManager: { streams, info } });
const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', { info });

export default {
	async fetch(request, env) {
		const { pathname } = new URL(request.url);
		const object = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
		if (pathname === '/held') return Response.json(await object.held());
		if (pathname === '/replace') {
			await object.replace().catch(() => {});
			return new Response();
		}
		const response = await gateway.respond(request);
		if (!response) return new Response('Not found', { status: 404 });
		const isKept = request.headers.has('x-keep-alive');
		return isKept ? withKeepAlive(response, { keepAlive: 500 }) : response;
	},
} satisfies ExportedHandler<Env>;
