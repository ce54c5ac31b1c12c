import { env, exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { SyncLayerNamespace } from '../../../src/advanced.ts';
import { DurableObjectSubscriptionManager } from '../../../src/index.ts';
import { EventStream } from '../../support/event-stream.ts';
import { listenRequest } from '../../support/listen-request.ts';

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';

describe('a listen stream that asks for nothing', () => {
	it.each([
		[{}],
		[{ toolsListChanged: false, promptsListChanged: false }],
		[{ resourceSubscriptions: [] }],
	])('is acknowledged and complete at once, without a call of the object: %j', async (filters) => {
		const untouchable: SyncLayerNamespace = new Proxy(env.TMCP_DURABLE_OBJECT, {
			get: () => expect.unreachable(),
		});
		const manager = new DurableObjectSubscriptionManager(untouchable);
		const told: string[] = [];
		const created = await manager.create(
			{ id: 1, origin: crypto.randomUUID(), filters },
			{
				acknowledge: async () => {
					await scheduler.wait(5);
					told.push('acknowledged');
				},
				send: () => expect.unreachable(),
				close: (reason) => void told.push(reason),
			},
		);
		expect(created).toBe(true);
		expect(told).toEqual(['acknowledged', 'closed']);
	});

	it('gets its result from tmcp, and its response ends', async () => {
		const response = await exports.default.fetch(listenRequest('https://example.com/mcp', {}));
		const stream = new EventStream(response.body);
		await stream.ended;
		expect(stream.events.map((data): unknown => JSON.parse(data))).toMatchObject([
			{
				jsonrpc: '2.0',
				method: 'notifications/subscriptions/acknowledged',
				params: { notifications: {}, _meta: { [SUBSCRIPTION_ID]: 1 } },
			},
			{ jsonrpc: '2.0', id: 1, result: { _meta: { [SUBSCRIPTION_ID]: 1 } } },
		]);
	});

	it('is one that asks for nothing that the server offers', async () => {
		const request = listenRequest('https://example.com/mcp', { promptsListChanged: true });
		const stream = new EventStream((await exports.default.fetch(request)).body);
		await stream.ended;
		expect(stream.events).toHaveLength(2);
	});
});
