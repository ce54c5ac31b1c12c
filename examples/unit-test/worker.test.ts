import { exports } from 'cloudflare:workers';
import { expect, it } from 'vitest';

const headers = { 'mcp-session-id': crypto.randomUUID(), 'content-type': 'application/json' };
const mcp = (init: RequestInit) =>
	exports.default.fetch('http://localhost/mcp', { headers, ...init });

it('lets every client hear the bell', async () => {
	const stream = (await mcp({ method: 'GET' })).body?.pipeThrough(new TextDecoderStream());
	const params = { name: 'ring', arguments: {} };
	await mcp({
		method: 'POST',
		body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
	});
	let heard = '';
	for await (const text of stream ?? []) if ((heard += text).includes('list_changed')) break;
	expect(heard).toContain('notifications/tools/list_changed');
});
