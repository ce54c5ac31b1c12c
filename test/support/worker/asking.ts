/** tmcp servers that ask their clients, each in a gateway of its own: several Worker instances, as far as memory goes. */
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { HttpTransport } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { McpServer } from 'tmcp';
import * as v from 'valibot';
import {
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
	SessionGateway,
	type SessionGatewayOptions,
} from '../../../src/index.ts';
import { slowKV } from './slow-kv.ts';

/** What tools were told in the end, as text: an answer, or an error. */
export const outcomes: string[] = [];

const text = (of: unknown) => ({ content: [{ type: 'text' as const, text: JSON.stringify(of) }] });

function makeServer(): McpServer<v.GenericSchema> {
	const server = new McpServer<v.GenericSchema>(
		{ name: 'asking', version: '1.0.0', description: 'asks its clients' },
		{ adapter: new ValibotJsonSchemaAdapter(), capabilities: { tools: {}, logging: {} } },
	);
	const ask = async (topic: string) => {
		try {
			const answer = await server.request({ method: 'test/ask', params: { topic } });
			outcomes.push(JSON.stringify(answer));
			return answer;
		} catch (error) {
			outcomes.push(String(error));
			throw error;
		}
	};
	server.tool(
		{
			name: 'ask',
			description: 'asks about each topic, one after another',
			schema: v.object({ topics: v.array(v.string()) }),
		},
		async ({ topics }) => {
			const answers: unknown[] = [];
			for (const topic of topics) answers.push(await ask(topic));
			return text(answers);
		},
	);
	server.tool(
		{
			name: 'ask_at_once',
			description: 'asks about all topics at once',
			schema: v.object({ topics: v.array(v.string()) }),
		},
		async ({ topics }) => text(await Promise.all(topics.map(ask))),
	);
	server.tool({ name: 'talk', description: 'tells much while it asks' }, async () => {
		server.log('info', 'before');
		const answer = ask('talk');
		server.log('info', { large: 'é'.repeat(100_000) });
		server.log('info', '"method" and "id"');
		await answer;
		server.log('info', 'after');
		return text('told');
	});
	server.tool({ name: 'give_up', description: 'asks, and does not wait' }, () => {
		ask('nothing').catch(() => {});
		return text('never mind');
	});
	return server;
}

function instance(options: SessionGatewayOptions = {}, kv = env.TMCP_SESSION_INFO) {
	const info = new KVInfoSessionManager(kv);
	const streams = new DurableObjectStreamSessionManager(env.TMCP_DURABLE_OBJECT);
	const transport = new HttpTransport(makeServer(), {
		path: '/asking',
		sessionManager: { streams, info },
	});
	const owner = (request: Request) => request.headers.get('x-user') ?? undefined;
	return new SessionGateway(transport, env.TMCP_DURABLE_OBJECT, {
		path: '/asking',
		info,
		owner,
		...options,
	});
}

/** By the header `x-instance`. The first one has it all as it is by default. */
const instances: Record<string, SessionGateway> = {
	first: instance(),
	second: instance(),
	impatient: instance({ answerTimeout: 200 }),
	distant: instance({}, slowKV(env.TMCP_SESSION_INFO, 100)),
	roomy: instance({ maxBodyBytes: 4_000_000 }),
};

/** @returns `null` for other paths */
export async function respondAsAsker(request: Request): Promise<Response | null> {
	const gateway = instances[request.headers.get('x-instance') ?? 'first'];
	return (await gateway?.respond(request)) ?? null;
}
