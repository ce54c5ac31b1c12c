import { SessionManagerError } from '../../errors.ts';
import { OBJECT_NAME } from '../../wire/protocol.ts';
import type { SyncLayer } from '../../object/sync-layer.ts';
import type { SyncLayerNamespace } from './binding.ts';
import { type RetryPolicy, withRetry } from './retry.ts';

export type SyncLayerStub = DurableObjectStub<SyncLayer>;

/**
 * A call fails over quickly, because somebody waits for it, and never adds load to an object that is overloaded:
 * https://developers.cloudflare.com/durable-objects/best-practices/error-handling/
 */
const CALL_RETRIES: RetryPolicy = {
	attempts: 4,
	baseMs: 100,
	maxMs: 1_000,
	isRetryable: (error) =>
		(flag(error, 'retryable') && !flag(error, 'overloaded')) || hasLostTicket(error),
};

/** The object was replaced between a call that made a ticket and the upgrade that brought it. */
function hasLostTicket(error: unknown): boolean {
	return SessionManagerError.from(error)?.code === 'TICKET_REFUSED';
}

function flag(error: unknown, name: 'retryable' | 'overloaded'): boolean {
	return error instanceof Error && Reflect.get(error, name) === true;
}

/**
 * Call the object that holds the streams.
 *
 * Every try takes a new stub: one that has seen its object fail throws that same error for ever.
 *
 * @param repeatable whether the work may be done twice: where it may, what the platform marks as retryable is tried again
 * @throws the object's own coded error, or `OBJECT_FAILED`
 */
export async function callObject<T>(
	namespace: SyncLayerNamespace,
	repeatable: boolean,
	work: (stub: SyncLayerStub) => Promise<T>,
): Promise<T> {
	const once = () => work(namespace.getByName(OBJECT_NAME));
	try {
		return await (repeatable ? withRetry(CALL_RETRIES, once) : once());
	} catch (error) {
		throw (
			SessionManagerError.from(error) ??
			new SessionManagerError(
				'OBJECT_FAILED',
				`the Durable Object ${OBJECT_NAME} failed or could not be reached (${String(error)}). Try again later.`,
				{ cause: error },
			)
		);
	}
}
