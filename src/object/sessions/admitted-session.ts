import { RpcTarget } from 'cloudflare:workers';
import type { Attached } from '../../wire/answers.ts';
import type { AttachOptions, InfoChange } from '../../wire/arguments.ts';

/** What of the object it is for. */
interface SessionMethods {
	inform(sessionId: string, changes: readonly InfoChange[]): void;
	attach(sessionId: string, options: AttachOptions): Attached;
}

/**
 * What a request that was admitted may do with its session. A call of it is part of the call that answered it, which is
 * billed once: https://developers.cloudflare.com/durable-objects/platform/pricing/. While a caller holds it, the object
 * stays awake.
 */
export class AdmittedSession extends RpcTarget {
	#object: SessionMethods;
	#sessionId: string;

	constructor(object: SessionMethods, sessionId: string) {
		super();
		this.#object = object;
		this.#sessionId = sessionId;
	}

	/** As `SyncLayer.inform`. */
	inform(changes: readonly InfoChange[]): void {
		this.#object.inform(this.#sessionId, changes);
	}

	/** As `SyncLayer.attach`. */
	attach(options: AttachOptions): Attached {
		return this.#object.attach(this.#sessionId, options);
	}
}
