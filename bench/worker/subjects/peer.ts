import { DurableObjectStreamSessionManager, SyncLayer as PeerSyncLayer } from 'peer';
import { drive } from '../driver.ts';
import { noteStart } from '../starts.ts';

export class SyncLayer extends PeerSyncLayer {
	constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
		super(ctx, env);
		noteStart();
	}
}

export default drive(() => new DurableObjectStreamSessionManager());
