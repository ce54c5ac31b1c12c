import { publishFailure } from '../../diagnostics/failure.ts';
import { SessionManagerError } from '../../errors.ts';
import { objectNameOf, parseHome } from '../../wire/home.ts';
import type { SyncLayer } from '../../object/sync-layer.ts';
import type { SyncLayerNamespace } from './binding.ts';
import { type RetryPolicy, withRetry } from './retry.ts';

export type SyncLayerStub = DurableObjectStub<SyncLayer>;

/**
 * The runtime retries calls by itself, up to five attempts
 * (https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/). This is one attempt more, for a
 * ticket or a key that was lost with the object, and for the local runtime, which does not retry. An overloaded object is
 * not called again: https://developers.cloudflare.com/durable-objects/best-practices/error-handling/
 */
const RETRIES: RetryPolicy = {
	of: 'call',
	attempts: 2,
	baseMs: 100,
	maxMs: 100,
	isRetryable: (error) =>
		(flag(error, 'retryable') && !flag(error, 'overloaded')) ||
		SessionManagerError.from(error)?.code === 'TICKET_REFUSED',
};

const NO_RETRIES: DurableObjectNamespaceGetDurableObjectOptions = { retry: { maxRetries: 0 } };

function flag(error: unknown, name: 'retryable' | 'overloaded'): boolean {
	return error instanceof Error && Reflect.get(error, name) === true;
}

/** One of the objects that share the sessions. */
export class Home {
	/** As session ids name it. */
	readonly label: string;
	/** The object's name. */
	readonly name: string;
	#namespace: SyncLayerNamespace;
	#upgradeKeys: Map<string, string>;
	#placed: DurableObjectNamespaceGetDurableObjectOptions | undefined;

	/** @param upgradeKeys of all homes, by label, as far as this instance knows them */
	constructor(namespace: SyncLayerNamespace, label: string, upgradeKeys: Map<string, string>) {
		this.label = label;
		this.name = objectNameOf(label);
		this.#namespace = namespace;
		this.#upgradeKeys = upgradeKeys;
		const locationHint = parseHome(label)?.region;
		this.#placed = locationHint && { locationHint };
	}

	/** What opens a stream there in one request; `undefined` until a call has answered it. */
	get upgradeKey(): string | undefined {
		return this.#upgradeKeys.get(this.label);
	}

	set upgradeKey(key: string | undefined) {
		if (key === undefined) this.#upgradeKeys.delete(this.label);
		else this.#upgradeKeys.set(this.label, key);
	}

	/** A new stub: one whose object has failed throws the same error again for ever. */
	stub(options?: DurableObjectNamespaceGetDurableObjectOptions): SyncLayerStub {
		return this.#namespace.getByName(this.name, { ...options, ...this.#placed });
	}
}

/** A promise where it has to be asked for which one that is. */
export type HomeOrPromise = Home | Promise<Home>;

/**
 * Call an object. The work may be done twice, which must do no harm.
 *
 * @param attempts 1 where the caller tries again by itself
 * @throws the object's own coded error, or `OBJECT_FAILED`
 */
export async function callObject<T>(
	home: HomeOrPromise,
	work: (stub: SyncLayerStub, home: Home) => Promise<T>,
	attempts = RETRIES.attempts,
): Promise<T> {
	// Where it is known, nothing is awaited before the call leaves.
	const object = home instanceof Home ? home : await home;
	const policy = { ...RETRIES, attempts, home: object.label };
	try {
		// The runtime has retried the first one.
		return await withRetry(policy, (tries) =>
			work(object.stub(tries > 1 ? NO_RETRIES : undefined), object),
		);
	} catch (error) {
		const coded = SessionManagerError.from(error);
		if (coded) throw coded;
		const failure = new SessionManagerError(
			'OBJECT_FAILED',
			`the Durable Object ${object.name} failed or could not be reached (${String(error)}). Try again later.`,
			{ cause: error },
		);
		// Where the caller tries again, it tells of that.
		if (attempts > 1) publishFailure(failure, { side: 'worker', home: object.label });
		throw failure;
	}
}
