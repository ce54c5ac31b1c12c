import { exports } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listenRequest } from '../../support/listen-request.ts';
import { CostMeter } from '../../support/costs.ts';
import { objectOf } from '../../support/objects.ts';
import { ownerOf } from '../../support/socket.ts';
import { SessionClient } from './client.ts';

/** A stream lives for 400 ms at most. */
const PATH = '/gateway/short-lives';
const NOT_MUCH_LONGER_MS = 2_000;
const object = () => objectOf(client.sessionId);

let client: SessionClient;
let sent: string[];
beforeEach(async () => {
	client = await SessionClient.begin(PATH);
	sent = [];
});
afterEach(() => {
	vi.restoreAllMocks();
});

async function send(): Promise<void> {
	const text = `number ${sent.length + 1}`;
	sent.push(text);
	const to = sent.length % 3 === 0 ? undefined : [client.sessionId];
	await object().broadcast(to, `data: ${JSON.stringify(text)}\n\n`);
}

/** All that is on a response until it ends. */
async function textOf(response: Response): Promise<string> {
	return Promise.race([
		response.text(),
		scheduler.wait(NOT_MUCH_LONGER_MS).then(() => expect.unreachable('The stream goes on.')),
	]);
}

const dataOf = (text: string) =>
	[...text.matchAll(/^data: (.+)$/gm)].map(([, data = '']): unknown => JSON.parse(data));
const lastIdOf = (text: string) => [...text.matchAll(/^id: (.+)$/gm)].at(-1)?.[1];

describe('the stream of a session', () => {
	it.each([
		['2025-11-25', 'data: \n\n'],
		['2025-06-18', 'event: place\ndata: \n\n'],
	])(
		'ends for a client of %s with an event without a message, which has an id and a retry field',
		async (version, rest) => {
			const response = await client.fetch('GET', { headers: { 'mcp-protocol-version': version } });
			await send();
			const text = await textOf(response);
			const [, retry, after] = /\nid: \S+\nretry: (\d+)\n([\s\S]*)$/.exec(text) ?? [];
			expect(Number(retry)).toBeGreaterThanOrEqual(1_000);
			expect(Number(retry)).toBeLessThanOrEqual(2_000);
			expect(after).toBe(rest);
		},
	);

	it('ends again and again, and a client that comes back with its id gets each message once, in order', async () => {
		const sending = (async () => {
			for (let time = 0; time < 150; time++) {
				await send();
				await scheduler.wait(10);
			}
		})();
		const received: unknown[] = [];
		let lives = 0;
		let headers: Record<string, string> = {};
		let isLast = false;
		while (!isLast) {
			isLast = sent.length === 150;
			const text = await textOf(await client.fetch('GET', { headers }));
			received.push(...dataOf(text));
			headers = { 'last-event-id': lastIdOf(text) ?? '' };
			lives++;
			// Away for a while, as a client is: some messages are sent meanwhile.
			await scheduler.wait(50);
		}
		await sending;
		expect(received).toEqual(sent);
		expect(lives).toBeGreaterThanOrEqual(4);
	}, 20_000);

	it('has ended in the object before its client is told, with its place, and for one row', async () => {
		const response = await client.fetch('GET');
		await vi.waitFor(async () => expect(await object().has(client.sessionId)).toBe(true));
		await send();
		const meter = await CostMeter.watch(object());
		const text = await textOf(response);
		expect(dataOf(text)).toEqual(sent);
		expect(await object().has(client.sessionId)).toBe(false);
		expect(await meter.read(object())).toMatchObject({ written: 1 });
		const { log } = await object().attach(
			client.sessionId,
			await ownerOf(object(), client.sessionId),
		);
		expect(`${log?.eventIdPrefix}${log?.after}`).toBe(lastIdOf(text));
	});

	it('waits for a client that has not read yet what was sent', async () => {
		const response = await client.fetch('GET');
		for (let time = 0; time < 20; time++) await send();
		await scheduler.wait(700);
		expect(dataOf(await textOf(response))).toEqual(sent);
	});

	it('of a session that ends meanwhile ends without coming back', async () => {
		const stream = await client.open();
		await client.fetch('DELETE');
		await stream.ended;
		expect((await client.fetch('GET')).status).toBe(404);
	});
});

describe('a listen stream', () => {
	it('is complete after its time: what was sent, its result, its end, and nothing is left of it', async () => {
		const filters = { toolsListChanged: true };
		const response = await exports.default.fetch(
			listenRequest(`https://example.com${PATH}`, filters, { id: 'seven' }),
		);
		await client.call('announce');
		const messages = dataOf(await textOf(response));
		expect(messages).toMatchObject([
			{ method: 'notifications/subscriptions/acknowledged' },
			{ method: 'notifications/tools/list_changed' },
			{
				id: 'seven',
				result: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'seven' } },
			},
		]);
		await vi.waitFor(async () => expect((await object().stats()).subscriptions).toBe(0));
	});
});
