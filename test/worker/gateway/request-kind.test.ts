import { describe, expect, it } from 'vitest';
import {
	isSessionless,
	kindOfBody,
	kindOfMessage,
} from '../../../src/worker/gateway/request-kind.ts';

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

const request = (method: string, headers: Record<string, string> = {}, body?: BodyInit) =>
	new Request('https://example.com', { method, headers, ...(body ? { body } : {}) });
const json = { 'content-type': 'application/json' };

describe('a request', () => {
	it.each([
		[false, request('GET')],
		[false, request('DELETE')],
		[false, request('POST')],
		[false, request('GET', { 'mcp-protocol-version': '2025-06-18' })],
		[true, request('GET', { 'mcp-protocol-version': '2026-07-28' })],
		[true, request('POST', { 'mcp-protocol-version': '2026-07-28' })],
		[true, request('OPTIONS')],
		[true, request('PUT', json, JSON.stringify(initialize))],
	])('has no session by its head: %s for case %#', (isSo, of) => {
		expect(isSessionless(of)).toBe(isSo);
	});
});

describe('the kind of a body', () => {
	it.each([
		['session', request('GET')],
		['session', request('DELETE')],
		['session', request('POST')],
		['session', request('POST', json, 'no JSON')],
		['session', request('POST', { 'content-type': 'text/plain' }, JSON.stringify(initialize))],
		['initialize', request('POST', json, JSON.stringify(initialize))],
		[
			'initialize',
			request('POST', json, ' '.repeat(4 * 1024 * 1024 - 70) + JSON.stringify(initialize)),
		],
		['tooLarge', request('POST', json, ' '.repeat(4 * 1024 * 1024) + JSON.stringify(initialize))],
	])('is %s for case %#', async (kind, of) => {
		expect(await kindOfBody(of)).toBe(kind);
	});

	it('leaves the body for the transport to read', async () => {
		const post = request('POST', json, JSON.stringify(initialize));
		await kindOfBody(post);
		expect(await post.json()).toEqual(initialize);
	});

	it('is told of a body without an end, which is read no further', async () => {
		let isCancelled = false;
		const endless = new ReadableStream<Uint8Array>({
			pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
			cancel: () => {
				isCancelled = true;
			},
		});
		expect(await kindOfBody(request('POST', json, endless))).toBe('tooLarge');
		expect(isCancelled).toBe(true);
	});
});
