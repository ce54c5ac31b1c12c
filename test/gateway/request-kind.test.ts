import { describe, expect, it } from 'vitest';
import { kindOfMessage, kindOfRequest } from '../../src/gateway/request-kind.ts';

const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} };
const version = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };

describe('the kind of a message', () => {
	it.each([
		['initialize', initialize],
		['initialize', { method: 'initialize' }],
		['session', { jsonrpc: '2.0', id: 1, method: 'tools/list' }],
		['session', { jsonrpc: '2.0', id: 1, result: {} }],
		['session', { ...initialize, method: 'tools/list', params: { _meta: { progressToken: 1 } } }],
		['session', [initialize]],
		['session', 'initialize'],
		['session', null],
		['session', undefined],
		['sessionless', { method: 'tools/list', params: { _meta: version } }],
		['sessionless', { method: 'initialize', params: { _meta: version } }],
		[
			'sessionless',
			{ method: 'ping', params: { _meta: { 'io.modelcontextprotocol/logLevel': null } } },
		],
	])('is %s for %j', (kind, message) => {
		expect(kindOfMessage(message)).toBe(kind);
	});
});

describe('the kind of a request', () => {
	const request = (method: string, headers: Record<string, string> = {}, body?: string) =>
		new Request('https://example.com', { method, headers, ...(body ? { body } : {}) });

	it.each([
		['session', request('GET')],
		['session', request('DELETE')],
		['session', request('GET', { 'mcp-protocol-version': '2025-06-18' })],
		['session', request('POST', {}, 'no JSON')],
		['initialize', request('POST', {}, JSON.stringify(initialize))],
		['sessionless', request('GET', { 'mcp-protocol-version': '2026-07-28' })],
		['sessionless', request('OPTIONS')],
		['sessionless', request('PUT', {}, JSON.stringify(initialize))],
	])('is %s for case %#', async (kind, of) => {
		expect(await kindOfRequest(of)).toBe(kind);
	});

	it('is told by the header alone where it decides: the body is left alone', async () => {
		const headers = { 'mcp-protocol-version': '2026-07-28' };
		const post = request('POST', headers, JSON.stringify(initialize));
		post.clone = () => {
			throw new Error('The body was copied.');
		};
		expect(await kindOfRequest(post)).toBe('sessionless');
	});

	it('leaves the body for the transport to read', async () => {
		const post = request('POST', {}, JSON.stringify(initialize));
		await kindOfRequest(post);
		expect(await post.json()).toEqual(initialize);
	});
});
