import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSocket } from '../../src/advanced.ts';
import type { SyncLayer } from '../../src/index.ts';
import { codeOf } from '../support/codes.ts';
import { CostMeter } from '../support/costs.ts';
import { formatSessionId, newPayload, SIGNATURE_BYTES } from '../../src/wire/session-id.ts';
import { Wire } from '../support/socket.ts';

const OWNER = 'o'.repeat(43);

let name: string;
const object = (): DurableObjectStub<SyncLayer> => env.TMCP_DURABLE_OBJECT.getByName(name);

beforeEach(() => {
	name = crypto.randomUUID();
});
afterEach(() => void vi.restoreAllMocks());

const event = (method: string, params = {}) =>
	`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method, params })}\n\n`;

async function listen(resourceSubscriptions: string[]): Promise<void> {
	const subscribed = await object().subscribe({
		id: 7,
		origin: crypto.randomUUID(),
		filters: { toolsListChanged: true, resourceSubscriptions },
	});
	if (subscribed.kind !== 'subscribed') throw new Error(subscribed.kind);
	(await openSocket(object(), subscribed)).accept();
}

it('sessions are told with state, client, age, position and what waits', async () => {
	const clientInfo = { name: 'x'.repeat(200), version: '1' };
	await object().begin('a-begun', OWNER, { info: { clientInfo } });
	await Wire.open(object(), 'b-open');
	const gone = await Wire.open(object(), 'c-gone');
	await object().detach('c-gone');
	await gone.closed;
	await object().broadcast(undefined, event('notifications/tools/list_changed'));
	await object().broadcast(['c-gone'], event('notifications/message'));

	const { sessions, log } = await object().inspect({ sessions: {} });

	expect(sessions?.items).toMatchObject([
		{
			sessionId: 'a-begun',
			state: 'begun',
			client: { name: 'x'.repeat(100), version: '1' },
			position: 0,
			waiting: 1,
		},
		{ sessionId: 'b-open', state: 'open', position: 2, waiting: 0, expiresAt: undefined },
		{ sessionId: 'c-gone', state: 'detached', position: 0, waiting: 2, mayWaitForMore: false },
	]);
	expect(log).toMatchObject({ events: 2, head: 2, gaps: 0 });
});

it('a session is as old as the id that the gateway made for it', async () => {
	const madeAt = Date.now() - 60_000;
	const session = formatSessionId(newPayload('0', madeAt), new Uint8Array(SIGNATURE_BYTES));
	await object().begin(session, OWNER);
	await object().begin('foreign', OWNER);
	const { sessions } = await object().inspect({ sessions: {} });
	const seconds = Math.floor(madeAt / 1_000) * 1_000;
	expect(sessions?.items).toMatchObject([
		{ sessionId: session, begunAt: seconds },
		{ sessionId: 'foreign', begunAt: undefined },
	]);
});

it('listen streams are told with what they ask for, however many resources that is', async () => {
	await listen(['memo://a']);
	await listen(Array.from({ length: 500 }, (_, n) => `memo://${n}`));

	const { listeners, listenerPage } = await object().inspect({ listeners: {} });

	expect(listeners).toBe(2);
	expect(listenerPage?.items.toSorted((a, b) => a.resourceCount - b.resourceCount)).toMatchObject([
		{ id: 7, lists: { toolsListChanged: true }, resources: ['memo://a'], resourceCount: 1 },
		{ id: 7, resources: [0, 1, 2, 3, 4].map((n) => `memo://${n}`), resourceCount: 500 },
	]);
});

it('listen streams come in pages, each once', async () => {
	for (let count = 0; count < 5; count++) await listen([`memo://${count}`]);
	const seen: string[] = [];
	let after: string | undefined = '';
	while (after !== undefined) {
		const { listenerPage } = await object().inspect({ listeners: { after, limit: 2 } });
		for (const { resources } of listenerPage?.items ?? []) seen.push(...resources);
		after = listenerPage?.next;
	}
	expect(seen.toSorted()).toEqual([0, 1, 2, 3, 4].map((n) => `memo://${n}`));
});

describe('the end of the log', () => {
	it('is told newest first, with whom an event was for, its size and method', async () => {
		await listen(['memo://a']);
		await object().broadcast(['one', 'two'], event('notifications/message', { data: 'é' }));
		await object().broadcast(undefined, event('notifications/tools/list_changed'));
		await object().publish([
			{ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'memo://a' } },
		]);
		const { events } = await object().inspect({ log: {} });
		expect(events).toMatchObject([
			{ seq: 3, audience: 'subscriptions', method: 'notifications/resources/updated' },
			{ seq: 2, audience: 'all', named: undefined, method: 'notifications/tools/list_changed' },
			{ seq: 1, audience: 'sessions', named: 2, method: 'notifications/message' },
		]);
		expect(events?.map(({ payload }) => payload)).toEqual([undefined, undefined, undefined]);
		const later = await object().inspect({ log: { after: 2, payloads: true } });
		expect(later.events?.map(({ seq, payload }) => [seq, payload?.slice(0, 16)])).toEqual([
			[3, '{"jsonrpc":"2.0"'],
		]);
	});

	it('takes nothing for a method that is only mentioned in a message', async () => {
		const mentioned = { jsonrpc: '2.0', id: 1, result: { jsonrpc: '2.0', method: 'x' } };
		await object().broadcast(undefined, `event: message\ndata: ${JSON.stringify(mentioned)}\n\n`);
		await object().broadcast(undefined, 'no JSON: {"jsonrpc":"2.0","method":"x"}');
		const { events } = await object().inspect({ log: {} });
		expect(events?.map(({ method }) => method)).toEqual([undefined, undefined]);
	});
});

it('a page of 100,000 sessions reads a page of rows, and 1,000 where all the others have ended', async () => {
	await object().begin('0', OWNER);
	await runInDurableObject(object(), (_, { storage }) => {
		storage.sql.exec(
			`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
			INSERT INTO tmcp_sessions (session_id, state, since, expires_at)
			SELECT printf('s-%06d', i), CASE WHEN i <= 50000 THEN 'begun' ELSE 'ended' END, 0, 9e15 FROM n`,
		);
	});
	await evictDurableObject(object(), { webSockets: 'hibernate' });
	const meter = await CostMeter.watch(object());
	const page = async (after: string) => {
		meter.reset();
		const { sessions } = await object().inspect({ sessions: { after, limit: 25 } });
		const { read, written } = await meter.read(object());
		expect(written).toBe(0);
		return { read, ids: sessions?.items.map(({ sessionId }) => sessionId), next: sessions?.next };
	};

	const first = await page('s-000100');
	expect(first.ids?.at(-1)).toBe('s-000125');
	expect(first.next).toBe('s-000125');
	expect(first.read).toBeLessThan(40);
	const ended = await page('s-060000');
	expect(ended).toMatchObject({ ids: [], next: 's-061000' });
	expect(ended.read).toBeLessThan(1_010);
	expect(await page('s-100000')).toMatchObject({ ids: [], next: undefined });
	meter.reset();
	await object().inspect();
	expect((await meter.read(object())).read).toBe(0);
});

it('what is no option is refused', async () => {
	for (const options of [{ all: true }, { sessions: { limit: 101 } }, { log: { after: -1 } }]) {
		const inspect = () => Reflect.apply(Reflect.get(object(), 'inspect'), object(), [options]);
		expect(await codeOf(inspect)).toBe('INVALID_ARGUMENT');
	}
});
