import { describe, expect, it } from 'vitest';
import { hasMessage, readMessage, withMessage } from '../../../src/worker/gateway/message-body.ts';

const MAX_BYTES = 1_000;
const LIMITS = { maxBodyBytes: MAX_BYTES, bodyTimeout: 5_000 };

const params = { capabilities: {}, clientInfo: { name: 'test', version: '1' } };
const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params };
const json = { 'content-type': 'application/json' };
/** What is read; the reason where it is not. */
const read = (request: Request) => readMessage(request, LIMITS);
const readable = async (request: Request) => {
	const body = await read(request);
	if (typeof body === 'string') throw new Error(body);
	return body;
};
const post = (body: BodyInit | undefined, headers: Record<string, string> = json) =>
	new Request('https://example.com', { method: 'POST', headers, ...(body ? { body } : {}) });

describe('the body of a request', () => {
	it.each([
		[true, post('{}')],
		[true, post('{}', { 'content-type': 'application/json; charset=utf-8' })],
		[false, post('{}', { 'content-type': 'text/plain' })],
		[false, new Request('https://example.com', { method: 'GET', headers: json })],
		[false, new Request('https://example.com', { method: 'DELETE', headers: json })],
	])('is a message: %s, case %#', (isSo, request) => {
		expect(hasMessage(request)).toBe(isSo);
	});
});

describe('a message', () => {
	it.each([
		['initialize', initialize],
		['session', { jsonrpc: '2.0', id: 1, method: 'tools/call' }],
		['session', [initialize]],
		['session', 'result'],
		['answer', { jsonrpc: '2.0', id: 1, result: {} }],
		['answer', { jsonrpc: '2.0', id: 1, error: { code: 1, message: '' } }],
		['answer', { result: undefined, error: null }],
		['answer', { ...initialize, result: {} }],
	])('is %s: %j', async (kind, message) => {
		expect((await readable(post(JSON.stringify(message)))).kind).toBe(kind);
	});

	it.each([
		['a byte order mark', '\uFEFF{"result":1}', 'answer'],
		['an escaped key', String.raw`{"\u0072esult":1}`, 'answer'],
		['a key twice', '{"result":1,"id":1,"result":{}}', 'answer'],
		['a prototype', '{"__proto__":{"result":1}}', 'session'],
		['no JSON', '{"result":1', 'session'],
		['nothing', '', 'session'],
	])('with %s is read as the transport reads it', async (_, text, kind) => {
		expect((await readable(post(text))).kind).toBe(kind);
	});

	it('is handed on byte by byte', async () => {
		const bytes = new Uint8Array([0x7b, 0xff, 0x20, 0x7d]);
		const body = await readable(post(bytes));
		expect(new Uint8Array(await body.request.arrayBuffer())).toEqual(bytes);
		expect(body.request.headers.get('content-type')).toBe('application/json');
	});

	it('may have as many bytes as that, and no more', async () => {
		const padded = (bytes: number) => post('{}'.padEnd(bytes));
		expect((await readable(padded(MAX_BYTES))).message).toEqual({});
		expect(await read(padded(MAX_BYTES + 1))).toBe('tooLarge');
	});

	it('without an end is read no further', async () => {
		let isCancelled = false;
		const endless = new ReadableStream<Uint8Array>({
			pull: (controller) => controller.enqueue(new Uint8Array(100)),
			cancel: () => void (isCancelled = true),
		});
		expect(await read(post(endless))).toBe('tooLarge');
		expect(isCancelled).toBe(true);
	});

	it('that does not arrive in time is read no further', async () => {
		let isCancelled = false;
		const stalled = new ReadableStream<Uint8Array>({
			start: (controller) => controller.enqueue(new Uint8Array(100)),
			cancel: () => void (isCancelled = true),
		});
		const limits = { ...LIMITS, bodyTimeout: 50 };
		expect(await readMessage(post(stalled), limits)).toBe('tooSlow');
		expect(isCancelled).toBe(true);
	});

	it('is handed on with the signal that tells that the client is gone', async () => {
		const client = new AbortController();
		const request = new Request(post('{}'), { signal: client.signal });
		const body = await readable(request);
		client.abort();
		expect(body.request.signal.aborted).toBe(true);
	});

	it('takes the place of another, with the same client behind it', async () => {
		const headers = { ...json, 'content-length': '2', authorization: 'Bearer x' };
		const request = withMessage(post('{}', headers), initialize);
		expect(await request.json()).toEqual(initialize);
		expect(request.headers.get('authorization')).toBe('Bearer x');
	});
});
