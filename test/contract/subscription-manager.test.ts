import {
	InMemorySubscriptionManager,
	type SubscriptionCallbacks,
	type SubscriptionManager,
} from '@tmcp/session-manager';
import { assert, describe, expect, it, vi } from 'vitest';
import { DurableObjectSubscriptionManager } from '../../src/index.ts';

/** What every SubscriptionManager does, wherever its streams are. */
const implementations: [string, () => SubscriptionManager][] = [
	['InMemorySubscriptionManager', () => new InMemorySubscriptionManager()],
	['DurableObjectSubscriptionManager', () => new DurableObjectSubscriptionManager()],
];

const TOOLS = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' } as const;
const PROMPTS = { jsonrpc: '2.0', method: 'notifications/prompts/list_changed' } as const;
const RESOURCES = { jsonrpc: '2.0', method: 'notifications/resources/list_changed' } as const;
const updated = (uri: string, n = 0) =>
	({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri, n } }) as const;

/** What a listen stream was told, in order. */
class Log implements SubscriptionCallbacks {
	readonly told: unknown[] = [];
	readonly #acknowledging: Promise<void>;

	constructor(acknowledging = Promise.resolve()) {
		this.#acknowledging = acknowledging;
	}

	acknowledge = async (): Promise<void> => {
		await this.#acknowledging;
		this.told.push('acknowledged');
	};
	send = (notification: unknown): void => void this.told.push(notification);
	close = (reason: string): void => void this.told.push(reason);

	is(...told: unknown[]): Promise<void> {
		return vi.waitFor(() => assert.deepEqual(this.told, told), 3_000);
	}
}

describe.each(implementations)('%s', (_, make) => {
	const origin = () => `origin ${crypto.randomUUID()}`;
	const uri = () => `memo://${crypto.randomUUID()}`;

	it('acknowledges first, then sends what matches and nothing else, as it was', async () => {
		const [manager, from, board, log] = [make(), origin(), uri(), new Log()];
		const filters = {
			toolsListChanged: true,
			promptsListChanged: false,
			resourceSubscriptions: [board],
		};
		expect(await manager.create({ id: 1, origin: from, filters }, log)).toBe(true);
		for (const sent of [
			TOOLS,
			PROMPTS,
			RESOURCES,
			updated(board),
			updated(`${board}b`),
			updated('mem'),
		]) {
			await manager.send(sent);
		}
		await log.is('acknowledged', TOOLS, updated(board));
		await manager.closeAll(from);
	});

	it.each([1, 5, 6, 50])('matches each of %i resources, however alike', async (count) => {
		const [manager, from, log] = [make(), origin(), new Log()];
		const long = `memo://${crypto.randomUUID()}/${'é'.repeat(300)}`;
		const uris = Array.from({ length: count }, (__, i) => `${long}${i}`);
		const resourceSubscriptions = uris;
		await manager.create({ id: 'a', origin: from, filters: { resourceSubscriptions } }, log);
		await manager.send(updated(long));
		await manager.send(updated(`${long}${count}`));
		for (const of of uris) await manager.send(updated(of));
		await log.is('acknowledged', ...uris.map((of) => updated(of)));
		await manager.closeAll(from);
	});

	it('keeps back what is sent before the acknowledgement, and sends it after, in order', async () => {
		const [manager, from, board] = [make(), origin(), uri()];
		let acknowledge = () => {};
		const log = new Log(new Promise((resolve) => (acknowledge = resolve)));
		const filters = { resourceSubscriptions: [board] };
		const created = Promise.resolve(manager.create({ id: 1, origin: from, filters }, log));
		const witness = new Log();
		await manager.create({ id: 2, origin: from, filters }, witness);
		const sending = [1, 2, 3].map((n) => manager.send(updated(board, n)));
		await vi.waitFor(() => expect(witness.told).toHaveLength(4));
		expect(log.told).toEqual([]);
		acknowledge();
		expect(await created).toBe(true);
		await Promise.all(sending);
		await log.is('acknowledged', updated(board, 1), updated(board, 2), updated(board, 3));
		await manager.closeAll(from);
	});

	it('sends 50 at once in the order in which they were sent, each once to each', async () => {
		const [manager, from, board] = [make(), origin(), uri()];
		const logs = [new Log(), new Log(), new Log()];
		const filters = { resourceSubscriptions: [board] };
		for (const [id, log] of logs.entries())
			await manager.create({ id, origin: from, filters }, log);
		const sent = Array.from({ length: 50 }, (__, n) => updated(board, n));
		await Promise.all(sent.map((notification) => manager.send(notification)));
		for (const log of logs) await log.is('acknowledged', ...sent);
		await manager.closeAll(from);
	});

	it('takes one subscription of an id and origin; a string and a number are different ids', async () => {
		const [manager, from, log] = [make(), origin(), new Log()];
		const filters = { toolsListChanged: true };
		expect(await manager.create({ id: 1, origin: from, filters }, log)).toBe(true);
		expect(await manager.create({ id: 1, origin: from, filters }, new Log())).toBe(false);
		expect(await manager.create({ id: '1', origin: from, filters }, new Log())).toBe(true);
		const elsewhere = origin();
		expect(await manager.create({ id: 1, origin: elsewhere, filters }, new Log())).toBe(true);
		await manager.send(TOOLS);
		await log.is('acknowledged', TOOLS);
		await Promise.all([manager.closeAll(from), manager.closeAll(elsewhere)]);
	});

	it.each(['closed', 'cancelled'] as const)(
		'closes one subscription with the reason %s',
		async (reason) => {
			const [manager, from, numbered, named] = [make(), origin(), new Log(), new Log()];
			const filters = { toolsListChanged: true };
			await manager.create({ id: 7, origin: from, filters }, numbered);
			await manager.create({ id: '7', origin: from, filters }, named);
			expect(await manager.close('7', origin(), reason)).toBe(false);
			expect(await manager.close('7', from, reason)).toBe(true);
			expect(await manager.close('7', from, reason)).toBe(false);
			await named.is('acknowledged', reason);
			await manager.send(TOOLS);
			await numbered.is('acknowledged', TOOLS);
			await named.is('acknowledged', reason);
			await manager.closeAll(from);
		},
	);

	it('frees the id of what was closed', async () => {
		const [manager, from] = [make(), origin()];
		const filters = { toolsListChanged: true };
		for (const log of [new Log(), new Log()]) {
			expect(await manager.create({ id: 1, origin: from, filters }, log)).toBe(true);
			expect(await manager.close(1, from, 'closed')).toBe(true);
			await log.is('acknowledged', 'closed');
		}
	});

	it('closes all of an origin, or all, cancelled where no reason is given', async () => {
		const [manager, one, two] = [make(), origin(), origin()];
		const filters = { toolsListChanged: true };
		const logs = [new Log(), new Log(), new Log()] as const;
		await manager.create({ id: 1, origin: one, filters }, logs[0]);
		await manager.create({ id: 2, origin: one, filters }, logs[1]);
		await manager.create({ id: 1, origin: two, filters }, logs[2]);
		await manager.closeAll(one, 'closed');
		await logs[0].is('acknowledged', 'closed');
		await logs[1].is('acknowledged', 'closed');
		expect(logs[2].told).toEqual(['acknowledged']);
		await manager.closeAll();
		await logs[2].is('acknowledged', 'cancelled');
	});

	it('rejects where the acknowledgement fails, and frees the id', async () => {
		const [manager, from, log] = [make(), origin(), new Log()];
		const subscription = { id: 1, origin: from, filters: { toolsListChanged: true } };
		const failing = {
			...log,
			acknowledge: () => Promise.reject(new Error('no way')),
			send: log.send,
			close: log.close,
		};
		await expect(Promise.resolve(manager.create(subscription, failing))).rejects.toThrow('no way');
		await vi.waitFor(async () => expect(await manager.create(subscription, log)).toBe(true));
		await manager.closeAll(from);
	});
});
