/** The quickstart, with a way to make its object go away: `POST /evict` does at once what a deploy does some day. */
import { SyncLayer } from '@tmcp/session-manager-durable-objects';
import quickstart from '../../src/index.ts';

export class EvictableSyncLayer extends SyncLayer {
	/** Everything in memory is gone, and every socket breaks. So does this call. */
	evict(): void {
		this.ctx.abort('evicted by the demo');
	}
}

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<EvictableSyncLayer>;
}

export default {
	async fetch(request, env) {
		if (new URL(request.url).pathname !== '/evict') return quickstart.fetch(request);
		const evicted = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT').evict();
		const answer = await evicted.then(() => 'It is still there.', String);
		return new Response(answer);
	},
} satisfies ExportedHandler<Env>;
