/** The package is new, and nothing else: the names and the arguments are those of 0.3. */
import { HttpTransport } from '@tmcp/transport-http';
import {
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
	SyncLayer,
} from '@tmcp/session-manager-durable-objects';
import { server } from './server.ts';

const sessionManager = {
	streams: new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT'),
	info: new KVInfoSessionManager('TMCP_SESSION_INFO'),
};
const transport = new HttpTransport(server, { path: '/mcp', sessionManager });

export { SyncLayer };

export default {
	async fetch(request) {
		return (await transport.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
