import type { InfoField } from '../../wire/session-info.ts';
import { currentScope, type RequestScope } from '../request/request-scope.ts';

/**
 * How old a read may be that answers another question, in milliseconds, where no gateway tells the requests apart. The
 * transports ask three questions one after another, between which no time passes.
 */
const MAX_READ_AGE_MS = 50;

/** Plain data, because a request cannot wait for a promise of another one. */
interface Read {
	session: string;
	at: number;
	/** As `SyncLayer.infoOf` answered. */
	info: string | undefined;
	/** The questions that it has not answered yet. */
	open: Set<InfoField>;
}

/**
 * What one request has read of a session. A read answers each of the three questions once, so that a later question in a
 * long request sees what was told meanwhile.
 */
export class RequestReads {
	#ofScopes = new WeakMap<RequestScope, Read>();
	#last: Read | undefined;

	/** @param open the questions that it may still answer */
	keep(session: string, info: string | undefined, open: readonly InfoField[]): void {
		const read = { session, at: Date.now(), info, open: new Set(open) };
		const scope = currentScope();
		if (scope) this.#ofScopes.set(scope, read);
		else this.#last = read;
	}

	/** @returns the read that answers the question, if there is one */
	take(session: string, question: InfoField): Pick<Read, 'info'> | undefined {
		const scope = currentScope();
		const read = scope ? this.#ofScopes.get(scope) : this.#last;
		if (read?.session !== session || !read.open.delete(question)) return undefined;
		return scope || Date.now() - read.at < MAX_READ_AGE_MS ? read : undefined;
	}

	/** Something is written: no question is answered with what was read before. */
	forget(): void {
		const scope = currentScope();
		if (scope) this.#ofScopes.delete(scope);
		this.#last = undefined;
	}
}
