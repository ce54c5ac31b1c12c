import { SyncLayerClient } from '@tmcp/session-manager-durable-objects/client';

const clients = new SyncLayerClient('TMCP_DURABLE_OBJECT');

export default {
	async scheduled() {
		const { delivered, listeners } = await clients.notify('notifications/tools/list_changed');
		console.log(`${delivered} sessions and ${listeners} listeners know`);
	},
} satisfies ExportedHandler;
