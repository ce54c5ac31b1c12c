/** Why a socket between Worker and object was closed: application codes, 4000–4999. */
export const CloseCode = {
	/** A newer stream of the same session took its place. */
	superseded: 4001,
	/** The session, or this stream of it, was ended with `detach`. */
	detached: 4002,
	/** The socket's attachment is not one that `SyncLayer` wrote. */
	foreignAttachment: 4003,
	/** The Worker's end sent a message, but messages go from the object to the Worker only. */
	unexpectedMessage: 4004,
	/**
	 * Sent by the Worker's end: its client is gone, or does not read. The reason is the position of the last event that the
	 * client took, where it is known.
	 */
	clientGone: 4005,
	/** The subscription was closed: it is complete. */
	subscriptionClosed: 4006,
	/** The subscription was cancelled. */
	subscriptionCancelled: 4007,
	/** As much of a replay was sent as the stream's `window` allows. The Worker opens another socket for the rest. */
	windowFull: 4008,
	/** Sent by the Worker's end: it waits for no answer any more, because all came or were given up. */
	answered: 4009,
} as const;
