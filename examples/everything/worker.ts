import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { everything } from './server.ts';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const sessions = new DurableObjectSessions({
	info: env.INFO,
	// A server on one's own machine, which no web page may reach by DNS rebinding.
	gateway: { allowedHosts: ['localhost', '127.0.0.1', '[::1]'] },
});
const server = everything(env.STATE_KEY);
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
