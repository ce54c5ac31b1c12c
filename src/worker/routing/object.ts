import { SessionManagerError } from '../../errors.ts';
import { SYNC_LAYER_NAME } from '../../wire/names.ts';
import type { SyncLayer } from '../../object/sync-layer.ts';
import type { SyncLayerNamespace } from './binding.ts';
import { type RetryPolicy, withRetry } from './retry.ts';

export type SyncLayerStub = DurableObjectStub<SyncLayer>;

/**
 * The runtime retries calls by itself, up to five attempts
 * (https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/). This is one attempt more, for a
 * ticket that was lost with the object, and for the local runtime, which does not retry. An overloaded object is not called
 * again: https://developers.cloudflare.com/durable-objects/best-practices/error-handling/
 */
const RETRIES: RetryPolicy = {
	attempts: 2,
	baseMs: 100,
	maxMs: 100,
	isRetryable: (error) =>
		(flag(error, 'retryable') && !flag(error, 'overloaded')) || hasLostTicket(error),
};

const NO_RETRIES: DurableObjectNamespaceGetDurableObjectOptions = { retry: { maxRetries: 0 } };

/** The object was replaced between the call that made a ticket and the upgrade that brought it. */
function hasLostTicket(error: unknown): boolean {
	return SessionManagerError.from(error)?.code === 'TICKET_REFUSED';
}

function flag(error: unknown, name: 'retryable' | 'overloaded'): boolean {
	return error instanceof Error && Reflect.get(error, name) === true;
}

/**
 * Call the object that holds the streams. The work may be done twice, which must do no harm.
 *
 * Each attempt takes a new stub, because a stub whose object has failed throws the same error again for ever.
 *
 * @param attempts 1 where the caller tries again by itself
 * @throws the object's own coded error, or `OBJECT_FAILED`
 */
export async function callObject<T>(
	namespace: SyncLayerNamespace,
	work: (stub: SyncLayerStub) => Promise<T>,
	attempts = RETRIES.attempts,
): Promise<T> {
	let tries = 0;
	// The runtime has retried the first one.
	const once = async () =>
		work(namespace.getByName(SYNC_LAYER_NAME, tries++ === 0 ? undefined : NO_RETRIES));
	try {
		return await withRetry({ ...RETRIES, attempts }, once);
	} catch (error) {
		throw (
			SessionManagerError.from(error) ??
			new SessionManagerError(
				'OBJECT_FAILED',
				`the Durable Object ${SYNC_LAYER_NAME} failed or could not be reached (${String(error)}). Try again later.`,
				{ cause: error },
			)
		);
	}
}
