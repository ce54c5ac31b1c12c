import { exports } from 'cloudflare:workers';
import { expect, it } from 'vitest';

const headers = new Headers({ 'content-type': 'application/json' });
const get = () => exports.default.fetch('http://localhost/mcp', { headers });
const call = (method: string, params: object) => {
	const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
	return exports.default.fetch('http://localhost/mcp', { method: 'POST', headers, body });
};

it('lets every client hear the bell', async () => {
	const clientInfo = { name: 'test', version: '1.0.0' };
	const client = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
	const initialized = await call('initialize', client);
	headers.set('mcp-session-id', initialized.headers.get('mcp-session-id') ?? '');
	const stream = (await get()).body?.pipeThrough(new TextDecoderStream());

	await call('tools/call', { name: 'ring', arguments: {} });

	let heard = '';
	for await (const text of stream ?? []) if ((heard += text).includes('list_changed')) break;
	expect(heard).toContain('notifications/tools/list_changed');
});
