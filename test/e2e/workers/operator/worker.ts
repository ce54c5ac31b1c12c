/** Looks at the quickstart's object from outside, tells its listeners of something, and ends their streams. */
import type { SyncLayer } from '@tmcp/session-manager-durable-objects';

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
}

export default {
	async fetch(request, env) {
		const streams = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
		switch (new URL(request.url).pathname) {
			case '/stats':
				return Response.json(await streams.stats());
			case '/announce':
				return Response.json({
					delivered: await streams.publish([
						{ jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
						{
							jsonrpc: '2.0',
							method: 'notifications/resources/updated',
							params: { uri: 'memo://board' },
						},
					]),
				});
			case '/complete':
				return Response.json({ ended: await streams.unsubscribe({}, 'closed') });
			case '/cancel':
				return Response.json({ ended: await streams.unsubscribe({}, 'cancelled') });
			default:
				return new Response('Not found', { status: 404 });
		}
	},
} satisfies ExportedHandler<Env>;
