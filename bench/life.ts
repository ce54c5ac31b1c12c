/** The row that counts sessions is written once for 64 of them: `src/object/sessions/session-count.ts`. */
export const ROWS_FOR_COUNT = 1 / 64;

/**
 * What a session asks of the platform in its life (initialize, initialized, GET, 5 tool calls, setLevel, 3 subscribes, an
 * update of a resource, an unsubscribe, DELETE) behind a gateway, with what is known of it in the object.
 * `test/worker/info/lives.test.ts` counts it.
 */
export const LIFE = {
	/** Of the Worker: each is one HTTP request. */
	workerRequests: 14,
	/** Of the object, as they are billed: calls by RPC, and the upgrade of the stream. */
	objectRequests: 17,
	/** The same with what is called on an object that such a call answered, which is work all the same. */
	objectCalls: 22,
	rowsWritten: 9 + ROWS_FOR_COUNT,
	/** When the object forgets the session and its event. */
	rowsWrittenLater: 2,
	/** Bytes of SQLite while it lives: its row, with three subscriptions. `test/object/cost.test.ts` measures them. */
	storedBytes: 480,
} as const;
