import { RpcTarget } from 'cloudflare:workers';
import type { InfoChange } from '../../wire/arguments.ts';

/**
 * What a request that was admitted may change of its session. A call of it is part of the call that answered it, which is
 * billed once: https://developers.cloudflare.com/durable-objects/platform/pricing/. While a caller holds it, the object
 * stays awake.
 */
export class AdmittedSession extends RpcTarget {
	#inform: (changes: readonly InfoChange[]) => void;

	constructor(inform: (changes: readonly InfoChange[]) => void) {
		super();
		this.#inform = inform;
	}

	/** As `SyncLayer.inform`. */
	inform(changes: readonly InfoChange[]): void {
		this.#inform(changes);
	}
}
