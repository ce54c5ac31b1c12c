/** The Worker under test. */
import { SyncLayer } from '../../src/index.ts';
import { http, slow, sse, takeoverStream } from './servers.ts';

export { SyncLayer };

/** An object that is soon full. */
export class SmallSyncLayer extends SyncLayer {
	static override readonly options = { maxSubscriptions: 3 };
}

export default {
	async fetch(request) {
		if (new URL(request.url).pathname === '/takeover') return takeoverStream(request);
		for (const transport of [http, slow, sse]) {
			const response = await transport.respond(request);
			if (response) return response;
		}
		return new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
