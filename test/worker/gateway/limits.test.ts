import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EventStream } from '../../support/event-stream.ts';
import { listenRequest } from '../../support/listen-request.ts';
import { journal } from '../../support/worker/gateway.ts';
import { INITIALIZE, SessionClient } from './client.ts';

const PATH = '/gateway/limited';
const object = () => env.LIMITED.getByName('TMCP_DURABLE_OBJECT');
const ALICE = { 'x-user': 'alice' };

/** It takes 5 sessions, 2 sessions of one owner, and 2 listen streams of one owner. */
beforeEach(async () => {
	await runInDurableObject(object(), (_, { storage }) => {
		storage.sql.exec('DELETE FROM tmcp_sessions');
		storage.sql.exec('DELETE FROM tmcp_owners');
		storage.sql.exec('UPDATE tmcp_session_count SET n = 0');
	});
	// It remembers rows, and how many there are.
	await evictDurableObject(object());
});

const initialize = (headers: Record<string, string> = {}) =>
	new SessionClient(PATH, headers).post('initialize', INITIALIZE);

function listen(headers: Record<string, string> = {}): Promise<Response> {
	const filters = { toolsListChanged: true };
	return exports.default.fetch(listenRequest(`https://example.com${PATH}`, filters, { headers }));
}

describe('an initialize', () => {
	it('is answered 429 where its owner has as many sessions as one may have, and 200 once one of them has ended', async () => {
		const first = await SessionClient.begin(PATH, ALICE);
		await SessionClient.begin(PATH, ALICE);
		const refused = await initialize(ALICE);
		expect(refused.status).toBe(429);
		expect(refused.headers.get('retry-after')).toBe('30');
		expect(refused.headers.get('mcp-session-id')).toBeNull();
		expect(await refused.json()).toEqual({
			jsonrpc: '2.0',
			id: null,
			error: { code: -32000, message: expect.stringMatching(/^OWNER_LIMIT_REACHED: .*sessions/) },
		});
		await SessionClient.begin(PATH, { 'x-user': 'bob' });
		await SessionClient.begin(PATH);
		await first.fetch('DELETE');
		await SessionClient.begin(PATH, ALICE);
	});

	it('of nobody in particular shares no limit with others of nobody', async () => {
		for (const _ of [1, 2, 3, 4]) await SessionClient.begin(PATH);
	});
});

describe('a listen stream', () => {
	it('is refused with a coded error where its owner has as many as one may have', async () => {
		const streams = [];
		for (const _ of [1, 2]) {
			const stream = new EventStream((await listen(ALICE)).body);
			await stream.messages(1);
			streams.push(stream);
		}
		const refused = new EventStream((await listen(ALICE)).body);
		await refused.ended;
		expect(JSON.parse(refused.events[0] ?? '')).toMatchObject({
			id: 1,
			error: { message: expect.stringMatching(/^OWNER_LIMIT_REACHED: .*2 subscriptions/) },
		});
		for (const headers of [{ 'x-user': 'bob' }, {}]) {
			const other = new EventStream((await listen(headers)).body);
			expect(await other.messages(1)).toMatchObject([
				{ method: 'notifications/subscriptions/acknowledged' },
			]);
			await other.cancel();
		}
		await streams[0]?.cancel();
		await vi.waitFor(async () => expect((await object().stats()).subscriptions).toBe(1), 3_000);
		const again = new EventStream((await listen(ALICE)).body);
		expect(await again.messages(1)).toMatchObject([
			{ method: 'notifications/subscriptions/acknowledged' },
		]);
		await Promise.all([again.cancel(), streams[1]?.cancel()]);
	});
});

describe('a flood of initialize', () => {
	it('fills the object up to its limit; then it is answered 503, without a call of the object or of KV, and those with a session go on', async () => {
		const client = await SessionClient.begin(PATH, ALICE);
		const statuses: number[] = [];
		for (let flood = 0; flood < 8; flood++) {
			const { status, body } = await initialize();
			await body?.cancel();
			statuses.push(status);
		}
		expect(statuses).toEqual([200, 200, 200, 200, 503, 503, 503, 503]);
		const before = journal.length;
		const refused = await initialize({ 'x-user': 'bob' });
		expect(journal.slice(before)).toEqual([]);
		expect(refused.status).toBe(503);
		expect(refused.headers.get('retry-after')).toBe('30');
		expect(await refused.json()).toMatchObject({
			error: { code: -32000, message: expect.stringMatching(/^TOO_MANY_SESSIONS: /) },
		});
		expect(await client.call('whoami')).toMatchObject({ result: { content: [{ text: 'alice' }] } });
	});
});
