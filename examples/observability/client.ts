/** A client for the tests: a session with an open stream, which rings the bell and hears it. */
export async function ringOnce(
	fetchFrom: (url: string, init: RequestInit) => Promise<Response>,
	_meta: object = {},
): Promise<void> {
	const headers = new Headers({ 'content-type': 'application/json' });
	const call = (method: string, params: object) => {
		const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
		return fetchFrom('http://localhost/mcp', { method: 'POST', headers, body });
	};
	const clientInfo = { name: 'test', version: '1.0.0' };
	const client = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
	const initialized = await call('initialize', client);
	headers.set('mcp-session-id', initialized.headers.get('mcp-session-id') ?? '');
	const stream = await fetchFrom('http://localhost/mcp', { headers });
	await (await call('tools/call', { name: 'ring', arguments: {}, _meta })).text();
	let heard = '';
	const text = stream.body?.pipeThrough(new TextDecoderStream()) ?? [];
	for await (const part of text) if ((heard += part).includes('list_changed')) break;
}
