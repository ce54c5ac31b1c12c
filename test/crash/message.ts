/** Message number `message`, as an SSE event such as tmcp's transports write. */
export function formatMessage(message: number, padding: number): string {
	const params = { message, padding: 'x'.repeat(padding) };
	const notification = { jsonrpc: '2.0', method: 'notifications/crash', params };
	return `event: message\ndata: ${JSON.stringify(notification)}\n\n`;
}

/** @param data what stood on the `data` line @throws where it is not a whole message */
export function parseMessage(data: string): number {
	const { params }: { params?: { message?: unknown } } = JSON.parse(data);
	if (typeof params?.message === 'number') return params.message;
	throw new Error(`A client received what nobody has sent: ${data}`);
}
