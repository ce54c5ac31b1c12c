import { SessionManagerError } from '../../errors.ts';
import type { InfoChange } from '../../wire/arguments.ts';
import { currentScope, type RequestScope } from '../request/request-scope.ts';

/** What the object answered to the call that admitted a session, where the request is to change what is known of it. */
export interface Admission {
	inform(changes: readonly InfoChange[]): Promise<void>;
	/** Nothing more is changed: as long as this is held, the object stays awake. */
	dispose(): void;
}

/** The call that admitted a request's session takes what the request changes, which is then no call of its own. */
export class Admissions {
	#ofScopes = new WeakMap<RequestScope, { session: string; admission: Admission }>();

	/** @param idle when all that the request has changed has arrived */
	keep(session: string, admission: Admission, idle: () => Promise<void>): void {
		const scope = currentScope();
		if (!scope) {
			admission.dispose();
			return;
		}
		this.#ofScopes.set(scope, { session, admission });
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
		if (kept?.session !== session) return false;
		try {
			await kept.admission.inform(changes);
			return true;
		} catch (error) {
			const coded = SessionManagerError.from(error);
			if (coded) throw coded;
			this.#end(scope);
			return false;
		}
	}

	#end(scope: RequestScope | undefined): void {
		if (!scope) return;
		this.#ofScopes.get(scope)?.admission.dispose();
		this.#ofScopes.delete(scope);
	}
}
