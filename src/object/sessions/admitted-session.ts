import { RpcTarget } from 'cloudflare:workers';
import type { Attached } from '../../wire/answers.ts';
import type { AttachOptions, InfoChange } from '../../wire/arguments.ts';

/** The methods of the object, for one session. */
interface Methods {
	inform(changes: readonly InfoChange[]): void;
	attach(options: AttachOptions): Attached;
}

/**
 * What a request that was admitted may do with its session. A call of it is part of the call that answered it, which is
 * billed once: https://developers.cloudflare.com/durable-objects/platform/pricing/. While a caller holds it, the object
 * stays awake.
 */
export class AdmittedSession extends RpcTarget {
	#methods: Methods;

	constructor(methods: Methods) {
		super();
		this.#methods = methods;
	}

	/** As `SyncLayer.inform`. */
	inform(changes: readonly InfoChange[]): void {
		this.#methods.inform(changes);
	}

	/** As `SyncLayer.attach`. */
	attach(options: AttachOptions): Attached {
		return this.#methods.attach(options);
	}
}
