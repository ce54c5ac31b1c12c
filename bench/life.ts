/**
 * What a session asks of the platform in its life (initialize, initialized, GET, 5 tool calls, setLevel, 3 subscribes, an
 * update of a resource, an unsubscribe, DELETE) behind a gateway, with what is known of it in the object.
 * `test/worker/info/lives.test.ts` counts it.
 */
export const LIFE = {
	/** Of the Worker: each is one HTTP request. */
	workerRequests: 14,
	/** Of the object: calls by RPC, and the upgrade of the stream. */
	objectRequests: 24,
	rowsWritten: 13,
	/** When the object forgets the session and its event. */
	rowsWrittenLater: 2,
} as const;
