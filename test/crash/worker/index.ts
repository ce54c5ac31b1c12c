/** The Worker under test: what the README composes, and routes by which the harness reaches the object. */
import {
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
	SessionGateway,
	SyncLayer,
} from '../../../src/index.ts';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<CrashingSyncLayer>;
}

/** What `POST /control/broadcast` takes. */
interface BroadcastRequest {
	id: string;
	/** Absent for all. */
	sessions?: string[];
	data: string;
}

export class CrashingSyncLayer extends SyncLayer {
	/** Throw this instance away, as the platform does when it moves an object: a new one starts with the next call. */
	replace(): void {
		this.ctx.abort('replaced');
	}
}

const server = new McpServer(
	{ name: 'crash', version: '1.0.0', description: 'A server whose process is killed' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

const info = new KVInfoSessionManager('TMCP_SESSION_INFO');
const streams = new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', {
	info,
	// Counted by the harness, which reads the output of workerd: a counter in here would die with the process.
	onGap: () => console.log('gap'),
	onCutOff: () => console.log('cut off'),
});
const transport = new HttpTransport(server, { path: '/mcp', sessionManager: { streams, info } });
const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', { info });

export default {
	async fetch(request, env) {
		const { pathname } = new URL(request.url);
		if (pathname.startsWith('/control/')) return control(pathname, request, env);
		const response = await gateway.respond(request);
		return response ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler<Env>;

async function control(pathname: string, request: Request, env: Env): Promise<Response> {
	const stub = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
	try {
		if (pathname === '/control/broadcast') {
			const { sessions, data, id } = await request.json<BroadcastRequest>();
			return Response.json(await stub.broadcast(sessions, data, { id }));
		}
		await stub.replace();
		return new Response('The object was not replaced.', { status: 500 });
	} catch (error) {
		// The harness tries again with the same id: nothing is hidden by an answer in place of an uncaught exception.
		const isReplaced = pathname === '/control/replace';
		return new Response(String(error), { status: isReplaced ? 200 : 503 });
	}
}
