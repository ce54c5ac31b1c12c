/** Call a callback that a user gave. Where it throws or rejects, that is logged, and harms nothing else. */
export async function report<News>(callback: (news: News) => unknown, news: News): Promise<void> {
	try {
		await callback(news);
	} catch (thrown) {
		// Anything but an error is or has a session id, which must not be logged: it is a credential.
		const what = news instanceof Error ? news : 'Something';
		console.error(what, 'was to be reported, but the callback threw', thrown);
	}
}

/** Tells of each error once: what was sent in one batch fails with the same one. */
export class FailureReport {
	#onError: (error: unknown) => void;
	#told = new WeakSet<object>();

	constructor(onError: (error: unknown) => void) {
		this.#onError = onError;
	}

	/** @returns whether that is news */
	tell(error: unknown): boolean {
		if (typeof error === 'object' && error !== null) {
			if (this.#told.has(error)) return false;
			this.#told.add(error);
		}
		void report(this.#onError, error);
		return true;
	}
}
