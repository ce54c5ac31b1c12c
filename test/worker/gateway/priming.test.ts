import { beforeEach, describe, expect, it, vi } from 'vitest';
import { objectOf } from '../../support/objects.ts';
import { SessionClient } from './client.ts';

const object = () => objectOf(client.sessionId);

let client: SessionClient;
beforeEach(async () => {
	client = await SessionClient.begin('/gateway');
});

const send = (text: string) =>
	object().broadcast([client.sessionId], `data: ${JSON.stringify(text)}\n\n`);
const untilOpen = (isOpen: boolean) =>
	vi.waitFor(async () => expect(await object().has(client.sessionId)).toBe(isOpen));

describe.each([
	['2025-11-25', { 'mcp-protocol-version': '2025-11-25' }, 'data: '],
	['2025-06-18', { 'mcp-protocol-version': '2025-06-18' }, 'event: place\ndata: '],
	['no revision', {}, 'event: place\ndata: '],
])('a GET of %s', (_, headers, event) => {
	it('gets at once an event with an id and without data, and comes back with it for all that was sent since', async () => {
		await object().broadcast(['another'], 'data: "before"\n\n');
		const { body } = await client.fetch('GET', { headers });
		if (!body) throw new Error('The response has no body.');
		const reader = body.getReader();
		let read = '';
		for (const decoder = new TextDecoder(); !read.includes('data:');) {
			read += decoder.decode((await reader.read()).value);
		}
		const [, lastEventId = '', rest] =
			/^id: (\d\.[0-9a-z]{8}\.\d+)\n([\s\S]*?)\n\n/m.exec(read) ?? [];
		expect(rest).toBe(event);
		await reader.cancel();
		await untilOpen(false);
		for (const text of ['a', 'b']) await send(text);
		const back = await client.open({ ...headers, 'last-event-id': lastEventId });
		expect(await back.messages(2)).toEqual(['a', 'b']);
		await send('c');
		expect(await back.messages(3)).toEqual(['a', 'b', 'c']);
		await back.cancel();
	});
});
