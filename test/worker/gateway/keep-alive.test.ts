import { exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { SessionGateway, withKeepAlive } from '../../../src/index.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { listenRequest } from '../../support/listen-request.ts';
import { SessionClient } from './client.ts';

/** Its gateway has a pause of 30 ms, its stream manager one of 200 ms. */
const PATH = '/gateway/keep-alive';
const KEEP_ALIVE = ': keep-alive';
const commentsOf = (stream: EventStream) =>
	stream.comments.filter((comment) => comment === KEEP_ALIVE).length;

describe('a gateway writes comments, without being asked, on', () => {
	it('the response of a POST while its tool is at work', async () => {
		const client = await SessionClient.begin(PATH);
		const response = await client.post('tools/call', { name: 'ponder', arguments: {} });
		const stream = new EventStream(response.body);
		await stream.ended;
		expect(commentsOf(stream)).toBeGreaterThanOrEqual(3);
		expect(stream.events).toHaveLength(1);
	});

	it('a listen stream', async () => {
		const request = listenRequest(`https://example.com${PATH}`, { toolsListChanged: true });
		const stream = new EventStream((await exports.default.fetch(request)).body);
		await stream.until(() => commentsOf(stream) >= 3, 'three comments');
		await (await SessionClient.begin(PATH)).call('announce');
		expect(await stream.messages(2)).toMatchObject([
			{ method: 'notifications/subscriptions/acknowledged' },
			{ method: 'notifications/tools/list_changed' },
		]);
		await stream.cancel();
	});

	it('the stream of a session', async () => {
		const stream = await (await SessionClient.begin(PATH)).open();
		await stream.until(() => commentsOf(stream) >= 3, 'three comments');
		await stream.cancel();
	});
});

it('a gateway refuses options for them that are none', async () => {
	const transport = { respond: () => Promise.resolve(null) };
	for (const options of [
		{ keepAlive: 0 },
		{ maxQueuedBytes: 0 },
		{ readTimeout: 0 },
		{ onCutOff: true },
	]) {
		expect(await codeOf(() => Reflect.construct(SessionGateway, [transport, 'X', options]))).toBe(
			'INVALID_ARGUMENT',
		);
	}
});

describe('a response that is wrapped twice', () => {
	const EVENT_STREAM = { headers: { 'content-type': 'text/event-stream' } };

	/** How many comments there are in a time in which something is said now and then. */
	async function commentsWhere(wrap: (response: Response) => Response): Promise<number> {
		let say: (text: string) => void = () => {};
		const body = new ReadableStream<Uint8Array>({
			start: (controller) =>
				void (say = (text) => controller.enqueue(new TextEncoder().encode(text))),
		});
		const stream = new EventStream(wrap(new Response(body, EVENT_STREAM)).body);
		for (const pauseMs of [250, 120, 30, 250]) {
			say(`data: ${pauseMs}\n\n`);
			await scheduler.wait(pauseMs);
		}
		await stream.cancel();
		expect(stream.events).toEqual(['250', '120', '30', '250']);
		return commentsOf(stream);
	}

	const once = (response: Response) => withKeepAlive(response, { keepAlive: 100 });

	/** Five, of which a busy machine may lose or gain one. Two layers that both comment make ten. */
	async function expectFew(wrap: (response: Response) => Response): Promise<void> {
		const comments = await commentsWhere(wrap);
		expect(comments).toBeGreaterThanOrEqual(3);
		expect(comments).toBeLessThanOrEqual(6);
	}

	it('has as many comments as one that is wrapped once', async () => {
		await expectFew(once);
		await expectFew((response) => once(once(response)));
		await expectFew((response) => once(new Response(once(response).body, EVENT_STREAM)));
	});

	it('has those of the one with the shorter pause, whichever it is', async () => {
		const rarely = (response: Response) => withKeepAlive(response, { keepAlive: 10_000 });
		await expectFew((response) => rarely(once(response)));
		await expectFew((response) => once(rarely(response)));
	});
});
