import { DurableObjectSessions } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { server } from './server.ts';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

/** Whose token it is. Here a variable knows; it may as well be a table, or the signature of a JWT. */
function userOf(request: Request): string | undefined {
	const [, token = ''] = /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '') ?? [];
	return Object.hasOwn(env.USERS, token) ? env.USERS[token] : undefined;
}

const sessions = new DurableObjectSessions({ owner: userOf });
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));

export default {
	async fetch(request) {
		if (userOf(request) === undefined) {
			const headers = { 'www-authenticate': 'Bearer' };
			return new Response('Unauthorized', { status: 401, headers });
		}
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;
