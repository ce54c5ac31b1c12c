/** The quickstart's server with a tool that asks, three homes, an inspector, and buttons for what else happens to a server. */
import {
	DurableObjectSessions,
	SYNC_LAYER_NAME,
	SyncLayer,
} from '@tmcp/session-manager-durable-objects';
import { SyncLayerClient } from '@tmcp/session-manager-durable-objects/client';
import { SessionInspector } from '@tmcp/session-manager-durable-objects/inspector';
import { HttpTransport } from '@tmcp/transport-http';
import { tool } from 'tmcp/utils';
import * as v from 'valibot';
import { server } from '../../quickstart/src/server.ts';

const MEMO_URI = 'memo://board';

server.tool({ name: 'order_lunch', description: 'Asks its caller what to order.' }, async () => {
	const answer = await server.elicitation(
		'What would you like for lunch?',
		v.object({ dish: v.string() }),
	);
	return tool.text(
		answer.action === 'accept' ? `Ordered: ${answer.content?.dish}` : 'Nothing was ordered.',
	);
});

/** A home that tells which instance of it answers, and that can be replaced, as by a deploy. */
export class PlaygroundSyncLayer extends SyncLayer {
	#instance = crypto.randomUUID();

	instance(): string {
		return this.#instance;
	}

	/** Everything in memory is gone, and every socket breaks. So does this call. */
	replace(): void {
		this.ctx.abort('replaced from the playground');
	}
}

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<PlaygroundSyncLayer>;
	MEMO: KVNamespace;
}

const sessions = new DurableObjectSessions({ homes: 3, syncLayer: PlaygroundSyncLayer });
const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));
// What another Worker, a queue or a cron would have.
const clients = new SyncLayerClient(sessions.homes);
// Where you deploy it, ask for more than where the request came to: this is for one's own machine.
const inspector = new SessionInspector(sessions.homes, { authorise: isLocal, payloads: true });

/** A name that a foreign site points at this machine is not local. */
function isLocal(request: Request): boolean {
	return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(request.url).hostname);
}

/** Another site's page may send requests here too. */
function isFromPage(request: Request): boolean {
	return isLocal(request) && request.headers.get('sec-fetch-site') === 'same-origin';
}

const homeOf = (env: Env, label: string) =>
	env.TMCP_DURABLE_OBJECT.getByName(
		label === '0' ? SYNC_LAYER_NAME : `${SYNC_LAYER_NAME}/${label}`,
	);

/** What each home holds, and which instance of it says so. */
async function figures(env: Env) {
	const { homes } = await clients.stats();
	return Promise.all(
		Object.entries(homes)
			.toSorted()
			.map(async ([home, { streams, subscriptions, log }]) => ({
				home,
				streams,
				listeners: subscriptions,
				events: log?.events ?? 0,
				instance: await homeOf(env, home).instance(),
			})),
	);
}

async function play(path: string, request: Request, env: Env): Promise<Response> {
	switch (`${request.method} ${path}`) {
		case 'GET /figures':
			return Response.json(await figures(env));
		case 'POST /message': {
			const params = { level: 'info', data: await request.text() };
			return Response.json(await clients.notify('notifications/message', params));
		}
		case 'POST /tools':
			return Response.json(await clients.notify('notifications/tools/list_changed'));
		case 'POST /memo':
			await env.MEMO.put('board', await request.text());
			return Response.json(
				await clients.notify('notifications/resources/updated', { uri: MEMO_URI }),
			);
		case 'POST /replace': {
			const homes = Object.keys((await clients.stats()).homes);
			await Promise.allSettled(homes.map((home) => homeOf(env, home).replace()));
			return Response.json({ replaced: homes.length });
		}
		default:
			return new Response('Not found', { status: 404 });
	}
}

const PLAY = '/playground';

export default {
	async fetch(request, env) {
		const { pathname } = new URL(request.url);
		if (pathname.startsWith(`${PLAY}/`)) {
			if (!isFromPage(request)) return new Response('Forbidden', { status: 403 });
			return play(pathname.slice(PLAY.length), request, env);
		}
		const response = (await inspector.respond(request)) ?? (await gateway.respond(request));
		return response ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler<Env>;
