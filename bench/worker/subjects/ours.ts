import { SyncLayer as OurSyncLayer } from '../../../src/index.ts';
import { drive } from '../driver.ts';
import { ourStreams } from '../our-streams.ts';
import { noteStart } from '../starts.ts';

export class SyncLayer extends OurSyncLayer {
	constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
		super(ctx, env);
		noteStart();
	}
}

export default drive(ourStreams);
