/**
 * Reaches the clients of another Worker's MCP server: when it is asked to, when a message comes in a queue, and at full hours.
 */
import { SyncLayerClient } from '@tmcp/session-manager-durable-objects/client';
import {
	type Notification,
	SYNC_LAYER_NAME,
	type SyncLayer,
} from '@tmcp/session-manager-durable-objects';

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
	EVENTS: Queue<Event>;
}

/** What somebody puts into the queue. */
interface Event {
	/** The resource that has changed. */
	uri: string;
}

/** Tells everybody whom a notification concerns, in one call: sessions, and who listens without one. */
const clients = new SyncLayerClient('TMCP_DURABLE_OBJECT');

/** What SyncLayer sends goes onto the clients' streams as it is: whole server-sent events. */
function event(message: { method: string; params?: Record<string, unknown> }): string {
	return `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
}

export default {
	async fetch(request, env) {
		const { pathname, searchParams } = new URL(request.url);
		const session = searchParams.get('session') ?? undefined;
		const streams = env.TMCP_DURABLE_OBJECT.getByName(SYNC_LAYER_NAME);

		if (pathname === '/has' && session) {
			return Response.json({ has: await streams.has(session) });
		}
		if (pathname === '/detach' && session && request.method === 'POST') {
			return Response.json({ detached: await streams.detach(session) });
		}
		if (pathname === '/broadcast' && request.method === 'POST') {
			const data = event({
				method: 'notifications/message',
				params: { level: 'info', data: await request.text() },
			});
			return Response.json(await streams.broadcast(session ? [session] : undefined, data));
		}
		if (pathname === '/publish' && request.method === 'POST') {
			const uri = searchParams.get('resource');
			const notification: Notification = uri
				? { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } }
				: { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
			return Response.json({ delivered: await streams.publish([notification]) });
		}
		if (pathname === '/events' && request.method === 'POST') {
			await env.EVENTS.send({ uri: await request.text() });
			return new Response('It is in the queue.\n', { status: 202 });
		}
		return new Response('Not found', { status: 404 });
	},

	/** One notification for each resource of the batch, however often it has changed. */
	async queue({ messages }) {
		for (const uri of new Set(messages.map(({ body }) => body.uri))) {
			const told = await clients.notify('notifications/resources/updated', { uri });
			console.log(`${told.delivered} sessions and ${told.listeners} listeners know of ${uri}`);
		}
	},

	async scheduled({ scheduledTime }) {
		const data = `It is ${new Date(scheduledTime).toISOString()}.`;
		const { delivered } = await clients.notify('notifications/message', { level: 'info', data });
		console.log(`${delivered} sessions know the time`);
	},
} satisfies ExportedHandler<Env, Event>;
