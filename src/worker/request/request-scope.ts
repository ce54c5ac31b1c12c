import type { AsyncLocalStorage } from 'node:async_hooks';
import type { Beginning } from '../info/beginning.ts';
import type { SessionHomes } from '../routing/homes.ts';

/** What a manager needs from the gateway about the running request, because the transport does not pass it on. */
export interface RequestScope {
	/** Of a listen: what the sessions and listen streams of its owner are counted by; `undefined` where nobody is named. */
	account?: string | undefined;
	/** Of a session: its owner, as `SyncLayer.begin` got it. */
	ownerHash?: string | undefined;
	/** The `Last-Event-ID` header of a GET. */
	lastEventId?: string | undefined;
	/** Whether it is a GET that supersedes the stream that its session already has. */
	takesOver?: boolean;
	/** Of a session: what follows the `id` line in an event without a message. */
	primingEvent?: string | undefined;
	/** Of a listen: `request.cf`, which tells where it came from. */
	cf?: unknown;
	/** Of a session: where it lives, for a stream manager of another binding to notice. */
	homes?: SessionHomes;
	/** The gateway has not asked whose the session is, because the request is not for its path: none may be touched. */
	isUnguarded?: boolean;
	/** Of an `initialize`: what is told of the client meanwhile, to be stored when the session begins. */
	beginning?: Beginning;
	/** Of a GET: the key of the session's home, for a stream manager that has a {@link SessionHomes} of its own. */
	upgradeKey?: string | undefined;
	/** Of a DELETE: what has ended with the call that admitted the session, so that it is not asked for again. */
	ended?: Ended;
	/** Where the gateway only asks which objects the managers of its transport have: they note them here, and do nothing. */
	told?: SessionHomes[];
	/** What the admission has left for the end of the response, which the gateway calls. */
	onAnswered?: () => Promise<void>;
}

/** @returns whether the gateway only asks which objects a manager has, and was told that */
export function tellsHomes(homes?: SessionHomes): boolean {
	const told = currentScope()?.told;
	if (homes) told?.push(homes);
	return told !== undefined;
}

/** A session that the gateway has ended. */
export interface Ended {
	session: string;
	/** The label of its home, in which the listen streams of this origin have ended with it. */
	home: string;
	/** The labels of all homes, where that is the first one. */
	homes: readonly string[];
	/** The manager whose information was in the session's row. */
	info: unknown;
}

let storage: AsyncLocalStorage<RequestScope> | undefined;

/**
 * Run the work of a request in its scope.
 *
 * `node:async_hooks` is imported here because it needs the flag `nodejs_compat`: imported at the top, it would keep Workers
 * without a gateway from starting without that flag.
 */
export async function runInScope<T>(scope: RequestScope, work: () => Promise<T>): Promise<T> {
	// Once only: a request must not wait for what another one has begun, and an import may be that.
	if (!storage) {
		const { AsyncLocalStorage } = await import('node:async_hooks');
		storage ??= new AsyncLocalStorage();
	}
	return storage.run(scope, work);
}

/** The scope of the running request; `undefined` without a gateway. */
export function currentScope(): RequestScope | undefined {
	return storage?.getStore();
}
