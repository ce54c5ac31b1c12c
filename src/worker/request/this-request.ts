/**
 * Whether the code that asks runs in the request that made a socket. The runtime refuses any other request access to it,
 * even to its state.
 */
export function isOfThisRequest(socket: WebSocket): boolean {
	try {
		void socket.readyState;
		return true;
	} catch {
		return false;
	}
}
