/**
 * Tell the runtime which methods may run twice, so that it calls them again where it cannot know whether a call arrived:
 * https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/. A runtime that does not know of this
 * reports such a call as failed.
 */
export async function markRetryable(...methods: ((...args: never[]) => unknown)[]): Promise<void> {
	// An older runtime has no such module.
	const platform = await import('cloudflare:durable-objects').catch(() => undefined);
	platform?.retryable(...methods);
}
