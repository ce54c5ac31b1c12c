import type { SyncLayer } from '@tmcp/session-manager-durable-objects';

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
}

export default {
	async scheduled(_, env) {
		const streams = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
		const message = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
		const event = `event: message\ndata: ${JSON.stringify(message)}\n\n`;
		const { delivered } = await streams.broadcast(undefined, event); // or: a list of session ids
		console.log(`${delivered} clients know`);
	},
} satisfies ExportedHandler<Env>;
