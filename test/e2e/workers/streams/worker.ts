/**
 * Serves streams without asking `has()` first, as HttpTransport does, so that a newer stream of a session
 * can supersede an older one. Two Workers run it on one SyncLayer.
 */
import { DurableObjectStreamSessionManager } from '@tmcp/session-manager-durable-objects';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const KEEP_ALIVE_MS = 100;

const streams = new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT', {
	keepAlive: KEEP_ALIVE_MS,
});

export default {
	async fetch(request) {
		const url = new URL(request.url);
		const session = url.searchParams.get('session') ?? '';
		if (request.method === 'POST') {
			await streams.send([session], await request.text());
			return new Response();
		}
		const encoder = new TextEncoder();
		const body = new ReadableStream<Uint8Array>({
			async start(controller) {
				await streams.create(session, controller);
				controller.enqueue(encoder.encode(': connected\n\n'));
				// A keep-alive that is not read for long: the client reads nothing.
				let behind = 0;
				const timer = setInterval(() => {
					behind = (controller.desiredSize ?? 0) > 0 ? 0 : behind + 1;
					if (behind < 5) return;
					console.log(`${session} has a backlog`);
					clearInterval(timer);
				}, KEEP_ALIVE_MS);
			},
			async cancel() {
				await streams.delete(session);
				console.log(`${session} was cancelled`);
			},
		});
		return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
	},
} satisfies ExportedHandler;
