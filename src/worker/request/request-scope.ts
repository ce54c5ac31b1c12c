import type { AsyncLocalStorage } from 'node:async_hooks';

/** What a gateway knows of the request that a manager is called in, and the transport does not pass on. */
export interface RequestScope {
	/** A hash that all sessions and listen streams of one owner have in common; `undefined` where nobody is named. */
	account: string | undefined;
	/** Whose the session is, as it was registered; `undefined` for a request without one. */
	ownerHash: string | undefined;
	/** The `Last-Event-ID` header of a GET. */
	lastEventId: string | undefined;
	/** Whether it is a GET that takes the place of the stream that its session has. */
	takesOver: boolean;
	/** What follows the `id` line of an event that has no message; `undefined` for a request without a session. */
	primingEvent: string | undefined;
}

let storage: AsyncLocalStorage<RequestScope> | undefined;

/**
 * Do the work of a request in its scope.
 *
 * The module is imported as late as this because it needs the flag `nodejs_compat`, without which a Worker that has no
 * gateway, or only the object, would not start.
 */
export async function runInScope<T>(scope: RequestScope, work: () => Promise<T>): Promise<T> {
	const { AsyncLocalStorage } = await import('node:async_hooks');
	storage ??= new AsyncLocalStorage();
	return storage.run(scope, work);
}

/** The scope of the request that this is called in; `undefined` where no gateway stands in front of it. */
export function currentScope(): RequestScope | undefined {
	return storage?.getStore();
}
