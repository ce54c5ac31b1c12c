import { describe, expect, it } from 'vitest';
import { isSessionless, kindOfMessage } from '../../../src/worker/gateway/request-kind.ts';

const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} };
const version = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };

describe('the kind of a message', () => {
	it.each([
		['initialize', initialize],
		['initialize', { id: 'one', method: 'initialize' }],
		['session', { method: 'initialize' }],
		['session', { id: null, method: 'initialize' }],
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
