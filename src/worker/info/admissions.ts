import { SessionManagerError } from '../../errors.ts';
import type { InfoChange } from '../../wire/arguments.ts';
import { currentScope, type RequestScope } from '../request/request-scope.ts';
import type { Answered } from '../routing/answered.ts';

/** The call that admitted a request's session takes what the request changes, which is then no call of its own. */
export class Admissions {
	#ofScopes = new WeakMap<RequestScope, { session: string; admitted: Answered }>();

	/**
	 * @param admitted what the object answered: as long as it is held, the object stays awake
	 * @param idle when all that the request has changed has arrived
	 */
	keep(session: string, admitted: Answered, idle: () => Promise<void>): void {
		const scope = currentScope();
		if (!scope) {
			admitted[Symbol.dispose]?.();
			return;
		}
		this.#ofScopes.set(scope, { session, admitted });
		scope.onAnswered = async () => {
			await idle();
			this.#end(scope);
		};
	}

	/**
	 * @returns whether the object took the changes; not where it was restarted since it admitted the session, for example
	 * @throws what the object says of them
	 */
	async inform(session: string, changes: readonly InfoChange[]): Promise<boolean> {
		const scope = currentScope();
		const kept = scope && this.#ofScopes.get(scope);
		const target = kept?.session === session ? kept.admitted.session : undefined;
		if (!scope || !target) return false;
		try {
			await target.inform(changes);
			return true;
		} catch (error) {
			const coded = SessionManagerError.from(error);
			if (coded) throw coded;
			this.#end(scope);
			return false;
		}
	}

	#end(scope: RequestScope): void {
		this.#ofScopes.get(scope)?.admitted[Symbol.dispose]?.();
		this.#ofScopes.delete(scope);
	}
}
