import * as v from 'valibot';
import { CommandSchema, type Reply } from './commands.ts';
import { Run } from './run.ts';
import { countStarts } from './starts.ts';
import type { Streams } from './streams.ts';

/**
 * The Worker that drives a subject. Sockets belong to the request that opened them, so all commands come on the WebSocket
 * of one request, which holds the streams.
 */
export function drive<Env>(streamsOf: (env: Env) => Streams): ExportedHandler<Env> {
	return {
		fetch(_request, env) {
			const { 0: client, 1: server } = new WebSocketPair();
			const run = new Run(streamsOf(env), streamsOf(env));
			server.accept();
			server.addEventListener('message', async ({ data }) => {
				server.send(JSON.stringify(await answer(run, data)));
			});
			return new Response(null, { status: 101, webSocket: client });
		},
	};
}

async function answer(run: Run, data: unknown): Promise<Reply> {
	try {
		const ms = await run.do(v.parse(CommandSchema, JSON.parse(String(data))));
		return { ms, starts: countStarts() };
	} catch (error) {
		return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
	}
}
