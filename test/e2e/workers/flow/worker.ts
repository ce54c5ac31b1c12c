/** Streams with the bound that the URL names, and messages to fill the log with. For `npm run flow`. */
import { env } from 'cloudflare:workers';
import {
	type BroadcastInput,
	DurableObjectStreamSessionManager,
} from '@tmcp/session-manager-durable-objects';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const OBJECT_NAME = 'TMCP_DURABLE_OBJECT';

/** How much leaves in one call, in characters. */
const BATCH_CHARS = 100_000;

const managers = new Map<string, DurableObjectStreamSessionManager>();

function managerOf(bound: string): DurableObjectStreamSessionManager {
	const options = bound === '' ? {} : { maxQueuedBytes: Number(bound) };
	const manager =
		managers.get(bound) ?? new DurableObjectStreamSessionManager(OBJECT_NAME, options);
	managers.set(bound, manager);
	return manager;
}

/** Broadcast messages that begin with their number, to one session or to all. */
async function fill(
	sessions: string[] | undefined,
	count: number,
	chars: number,
	pauseMs: number,
): Promise<void> {
	const object = env.TMCP_DURABLE_OBJECT.getByName(OBJECT_NAME);
	let batch: BroadcastInput[] = [];
	for (let n = 0; n < count; n++) {
		batch.push({ sessions, data: `data: ${n} ${'x'.repeat(chars)}\n\n` });
		if (batch.length * chars < BATCH_CHARS && n < count - 1) continue;
		await object.broadcastBatch(batch);
		batch = [];
		await scheduler.wait(pauseMs);
	}
}

export default {
	async fetch(request) {
		const { searchParams } = new URL(request.url);
		const param = (name: string) => searchParams.get(name) ?? '';
		const session = param('session');
		if (request.method === 'POST') {
			const to = session === '' ? undefined : [session];
			await fill(to, Number(param('count')), Number(param('chars')), Number(param('pause')));
			return new Response();
		}
		const streams = managerOf(param('bound'));
		const body = new ReadableStream<Uint8Array>({
			start: (controller) => streams.create(session, controller),
			cancel: () => streams.delete(session),
		});
		return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
	},
} satisfies ExportedHandler;
