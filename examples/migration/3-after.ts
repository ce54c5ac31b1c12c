import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { server } from './server.ts';

const sessions = new DurableObjectSessions();
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

/** The first name is for a class of `new_sqlite_classes`, the second one for what takes the place of one of `new_classes`. */
// #region class
export { SyncLayer, SyncLayer as SqliteSyncLayer } from '@tmcp/session-manager-durable-objects';
// #endregion class

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
