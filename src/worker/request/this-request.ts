/** Whether the running request made this socket: the runtime throws where any other request reads even its `readyState`. */
export function isOfThisRequest(socket: WebSocket): boolean {
	try {
		void socket.readyState;
		return true;
	} catch {
		return false;
	}
}
