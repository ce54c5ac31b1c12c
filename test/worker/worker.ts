/** The Worker under test. */
import { SessionManagerError, SyncLayer } from '../../src/index.ts';
import { http, slow, sse, takeoverStream } from './servers.ts';

export { SyncLayer };

/** An object that is soon full. */
export class SmallSyncLayer extends SyncLayer {
	static override readonly options = { maxSubscriptions: 3 };
}

/** Of a class that was made with `new_classes`, as the existing package's README has it. */
export class LegacySyncLayer extends SyncLayer {}

export default {
	async fetch(request) {
		if (new URL(request.url).pathname === '/takeover') return takeoverStream(request);
		try {
			for (const transport of [http, slow, sse]) {
				const response = await transport.respond(request);
				if (response) return response;
			}
			return new Response('Not found', { status: 404 });
		} catch (error) {
			const { code, message } = SessionManagerError.from(error) ?? {};
			if (code !== 'INVALID_SESSION_ID') throw error;
			const body = { jsonrpc: '2.0', id: null, error: { code: -32600, message } };
			return Response.json(body, { status: 400 });
		}
	},
} satisfies ExportedHandler;
