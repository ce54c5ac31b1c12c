import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { DurableObjectSubscriptionManager } from '../../src/index.ts';
import { codeOf } from '../support/codes.ts';
import { Wire } from '../support/socket.ts';

const object = () => env.LEGACY_SYNC_LAYER.getByName('TMCP_DURABLE_OBJECT');
const updated = {
	jsonrpc: '2.0',
	method: 'notifications/resources/updated',
	params: { uri: 'memo://a' },
} as const;

describe('a class without SQLite, as users of the existing package have it', () => {
	it('serves streams', async () => {
		const wire = await Wire.open(object(), 'one');
		expect(await object().broadcast(['one'], 'hello')).toMatchObject({ delivered: 1 });
		await vi.waitFor(() => expect(wire.received).toHaveLength(1));
		expect(wire.received[0]).toContain('hello');
		await object().detach('one');
	});

	it('serves subscriptions, but those that are too large for an attachment', async () => {
		const manager = new DurableObjectSubscriptionManager('LEGACY_SYNC_LAYER');
		const told: unknown[] = [];
		const callbacks = {
			acknowledge() {},
			send: (sent: unknown) => void told.push(sent),
			close() {},
		};
		const listen = (id: number, resourceSubscriptions: string[]) =>
			manager.create({ id, origin: 'o', filters: { resourceSubscriptions } }, callbacks);
		expect(await listen(1, ['memo://a'])).toBe(true);
		expect(await codeOf(() => listen(2, ['memo://a', 'x'.repeat(10_000)]))).toBe('SQLITE_MISSING');
		await manager.send(updated);
		await vi.waitFor(() => expect(told).toEqual([updated]));
		expect((await object().stats()).subscriptions).toBe(1);
		await manager.closeAll('o');
	});
});
