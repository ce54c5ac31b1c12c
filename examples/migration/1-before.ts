/** With 0.3. In this repository that is installed as `peer`; yours is `@tmcp/session-manager-durable-objects`. */
import { HttpTransport } from '@tmcp/transport-http';
import { DurableObjectStreamSessionManager, KVInfoSessionManager, SyncLayer } from 'peer';
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
