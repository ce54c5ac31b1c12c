import {
	type Notification,
	SYNC_LAYER_NAME,
	type SyncLayer,
} from '@tmcp/session-manager-durable-objects';

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
}

export default {
	async scheduled(_, env) {
		const object = env.TMCP_DURABLE_OBJECT.getByName(SYNC_LAYER_NAME);
		const message: Notification = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
		const event = `event: message\ndata: ${JSON.stringify(message)}\n\n`;
		// Sessions: all of them, or those of a list of ids.
		const { delivered } = await object.broadcast(undefined, event);
		// subscriptions/listen streams: those that asked for it.
		const listeners = await object.publish([message]);
		console.log(`${delivered} sessions and ${listeners} listeners know`);
	},
} satisfies ExportedHandler<Env>;
