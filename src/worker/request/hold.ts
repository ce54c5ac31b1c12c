import { waitUntil } from 'cloudflare:workers';

/**
 * Keep the request alive until the work is done. tmcp's transports do not await what they ask of a manager, and Workers
 * drop pending work when a request ends. Reads are held too, because the code after a read runs only if the read ends.
 *
 * A failure is not handled here: the caller gets it.
 */
export function hold<T>(work: Promise<T>): Promise<T> {
	waitUntil(work.then(ignore, ignore));
	return work;
}

function ignore(): void {}
