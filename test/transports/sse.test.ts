import { describe, expect, it } from 'vitest';
import { exports } from 'cloudflare:workers';
import { EventStream } from '../support/event-stream.ts';

describe('SseTransport, unmodified', () => {
	it('answers requests on the stream of their session', async () => {
		const sessionId = crypto.randomUUID();
		const url = (path: string) => `https://example.com${path}?session_id=${sessionId}`;
		const stream = new EventStream((await exports.default.fetch(url('/sse'))).body);
		await stream.until(() => stream.events.length === 1, 'the endpoint');
		expect(stream.events[0]).toBe(`/message?session_id=${sessionId}`);
		const post = (body: object) =>
			exports.default.fetch(url('/message'), {
				method: 'POST',
				headers: { 'content-type': 'application/json' },
				body: JSON.stringify({ jsonrpc: '2.0', ...body }),
			});
		const clientInfo = { name: 'sse', version: '1' };
		const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
		expect((await post({ id: 1, method: 'initialize', params })).status).toBe(202);
		await post({ id: 2, method: 'tools/call', params: { name: 'announce' } });
		await stream.until(() => stream.events.length === 4, '3 messages');
		const messages = stream.events.slice(1).map((data): unknown => JSON.parse(data));
		expect(messages).toEqual(
			expect.arrayContaining([
				expect.objectContaining({ id: 1 }),
				expect.objectContaining({ id: 2 }),
				expect.objectContaining({ method: 'notifications/tools/list_changed' }),
			]),
		);
		await exports.default.fetch(url('/sse'), { method: 'DELETE' });
		await expect(stream.ended).resolves.toBeUndefined();
	});
});
