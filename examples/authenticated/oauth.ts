import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { oauth } from './provider.ts';
import { server } from './server.ts';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const sessions = new DurableObjectSessions({
	// The user, and not `clientId`: that names the program, which many users have. Who has no valid token is nobody here, and
	// gets 401 from `oauth` in the transport.
	owner: async (request) => (await oauth.verify(request).catch(() => null))?.extra.user,
});
const gateway = sessions.gateway(new HttpTransport(server, { ...sessions.transport, oauth }));

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
