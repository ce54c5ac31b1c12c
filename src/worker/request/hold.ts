import { waitUntil } from 'cloudflare:workers';
import { publishFailure } from '../../diagnostics/failure.ts';

/**
 * Keep the request alive until the work is done. tmcp's transports do not await what they ask of a manager, and Workers
 * drop pending work when a request ends. Reads are held too, because the code after a read runs only if the read ends.
 *
 * A failure is not handled here: the caller gets it. It is told to whoever listens, because the transports drop it.
 */
export function hold<T>(work: Promise<T>): Promise<T> {
	waitUntil(work.catch((error: unknown) => publishFailure(error)));
	return work;
}
