const VERSION = '2026-07-28';
const METHOD = 'subscriptions/listen';

/** A `subscriptions/listen` as a client of 2026-07-28 sends it. */
export function listenRequest(
	url: string,
	notifications: object,
	{ id = 1, headers = {} }: { id?: string | number; headers?: Record<string, string> } = {},
): Request {
	const params = {
		_meta: {
			'io.modelcontextprotocol/protocolVersion': VERSION,
			'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1.0.0' },
			'io.modelcontextprotocol/clientCapabilities': {},
		},
		notifications,
	};
	return new Request(url, {
		method: 'POST',
		headers: {
			'content-type': 'application/json',
			accept: 'application/json, text/event-stream',
			'mcp-protocol-version': VERSION,
			'mcp-method': METHOD,
			...headers,
		},
		body: JSON.stringify({ jsonrpc: '2.0', id, method: METHOD, params }),
	});
}
