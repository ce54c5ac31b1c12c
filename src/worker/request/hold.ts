import { waitUntil } from 'cloudflare:workers';

/**
 * Keep the request alive until the work is done. tmcp's transports do not await what they ask of a manager, and
 * on Workers all that is pending when a request ends dies with it. Reads are held too: whatever comes after a read
 * is only reached if the read is.
 *
 * The work's failure stays the caller's.
 */
export function hold<T>(work: Promise<T>): Promise<T> {
	waitUntil(work.then(ignore, ignore));
	return work;
}

function ignore(): void {}
