import type { InfoInput } from '../../wire/arguments.ts';

/**
 * What a server is told of a client while it answers its `initialize`. The gateway begins the session with it, in one
 * call and one row; what comes later takes a call of its own.
 */
export class Beginning {
	#told = new Map<string, InfoInput>();
	#isOver = false;
	#done = Promise.withResolvers<void>();

	/** @returns when the gateway has begun the session, or could not; `undefined` where it is too late to be told */
	tell(session: string, set: InfoInput): Promise<void> | undefined {
		if (this.#isOver) return undefined;
		this.#told.set(session, { ...this.#told.get(session), ...set });
		return this.#done.promise;
	}

	/** What was told so far. */
	of(session: string): InfoInput | undefined {
		return this.#told.get(session);
	}

	/** What was told, once and for all. */
	take(session: string): InfoInput | undefined {
		this.#isOver = true;
		return this.#told.get(session);
	}

	/** The session has begun, or could not. */
	done(): void {
		this.#isOver = true;
		this.#done.resolve();
	}
}
