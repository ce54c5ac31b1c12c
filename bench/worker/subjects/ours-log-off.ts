import { SyncLayer as OurSyncLayer, type SyncLayerOptions } from '../../../src/index.ts';
import { drive } from '../driver.ts';
import { ourStreams } from '../our-streams.ts';
import { noteStart } from '../starts.ts';

export class SyncLayer extends OurSyncLayer {
	static override readonly options: SyncLayerOptions = { log: false };

	constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
		super(ctx, env);
		noteStart();
	}
}

export default drive(ourStreams);
