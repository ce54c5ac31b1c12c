import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { DurableObjectSubscriptionManager } from '../../../src/index.ts';
import { onlyObject } from '../../support/objects.ts';

let name: string;
beforeEach(() => {
	name = crypto.randomUUID();
});
const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);
const TOOLS = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' } as const;

async function listen(replace: () => object, onError: (error: unknown) => void = () => {}) {
	const manager = new DurableObjectSubscriptionManager(
		onlyObject(env.TMCP_DURABLE_OBJECT, name, replace),
		{ maxLifetime: 300, onError },
	);
	const told: unknown[] = [];
	await manager.create(
		{ id: 1, origin: crypto.randomUUID(), filters: { toolsListChanged: true } },
		{
			acknowledge: () => void told.push('acknowledged'),
			send: (notification) => void told.push(notification),
			close: (reason) => void told.push(reason),
		},
	);
	return { manager, told };
}

const ends = (told: unknown[], ...expected: unknown[]) =>
	vi.waitFor(() => expect(told).toEqual(['acknowledged', ...expected]), 3_000);

describe('a listen stream that has lived long enough', () => {
	it('is closed once, after what was sent, and nothing of it stays in the object', async () => {
		const { manager, told } = await listen(() => ({}));
		await manager.send(TOOLS);
		await ends(told, TOOLS, 'closed');
		expect((await object().stats()).subscriptions).toBe(0);
		await manager.send(TOOLS);
		await scheduler.wait(400);
		expect(told).toEqual(['acknowledged', TOOLS, 'closed']);
		const kept = await runInDurableObject(object(), (_, { storage }) =>
			storage.sql.exec('SELECT * FROM tmcp_subscription_ends').toArray(),
		);
		expect(kept).toEqual([]);
	});

	it('is closed by the Worker where the object cannot be asked', async () => {
		const { told } = await listen(() => ({
			unsubscribe: () => Promise.reject(new Error('unreachable')),
		}));
		await ends(told, 'closed');
		await vi.waitFor(async () => expect((await object().stats()).subscriptions).toBe(0), 3_000);
	});

	it('is closed once where it was just coming back from an object that had lost it', async () => {
		const { told } = await listen(() => ({}));
		await scheduler.wait(140);
		await evictDurableObject(object(), { webSockets: 'close' });
		await ends(told, 'closed');
		await scheduler.wait(600);
		expect(told).toEqual(['acknowledged', 'closed']);
		await vi.waitFor(async () => expect((await object().stats()).subscriptions).toBe(0), 3_000);
	});

	it('is not closed again after somebody has ended it', async () => {
		const { manager, told } = await listen(() => ({}));
		await manager.closeAll(undefined, 'cancelled');
		await ends(told, 'cancelled');
		await scheduler.wait(400);
		expect(told).toEqual(['acknowledged', 'cancelled']);
	});
});
