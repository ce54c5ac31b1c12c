import { env } from 'cloudflare:workers';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { DurableObjectSubscriptionManager } from '../../src/index.ts';
import { claim } from '../support/claims.ts';
import { codeOf } from '../support/codes.ts';
import { Wire } from '../support/socket.ts';

const object = () => env.LEGACY_SYNC_LAYER.getByName('TMCP_DURABLE_OBJECT');
const updated = {
	jsonrpc: '2.0',
	method: 'notifications/resources/updated',
	params: { uri: 'memo://a' },
} as const;

describe('a class without SQLite, as users of the existing package have it', () => {
	// The first test of the file: what an isolate has said once it does not say again.
	it('says once, in plain words, what does not work there', async () => {
		const warned = vi.spyOn(console, 'warn').mockImplementation(() => {});
		onTestFinished(() => warned.mockRestore());
		const [one, other] = ['one', 'other'].map((name) => env.LEGACY_SYNC_LAYER.getByName(name));
		await one?.stats();
		await other?.stats();
		expect(warned).toHaveBeenCalledTimes(1);
		const [text] = warned.mock.calls[0] ?? [];
		for (const named of [
			'"new_classes"',
			'Streams work',
			'a client that was away misses what was sent meanwhile',
			'SQLITE_MISSING',
			'SessionGateway',
			'answers to a server’s requests',
			'DurableObjectInfoSessionManager',
			'several homes',
			'listen streams for more than 4 resources',
			'lists of sessions',
			'the end of all sessions of an owner',
			'"new_sqlite_classes"',
		])
			expect(text).toContain(named);
	});

	it.each([
		['a session behind a gateway', (of) => of.begin('id', 'o'.repeat(43))],
		['a session that goes on', (of) => of.admit('id', 'o'.repeat(43))],
		['an answer to a server’s request', (of) => of.answer('id', 'o'.repeat(43), 'x', '{}')],
		['what is known of a client', (of) => of.infoOf('id')],
		['several homes', (of) => of.registerHome('1')],
		['a list of sessions', (of) => of.listSessions()],
		['the end of all sessions of an owner', (of) => of.endOwner('o'.repeat(43))],
	] satisfies [string, (of: ReturnType<typeof object>) => Promise<unknown>][])(
		'refuses %s',
		async (_, call) => {
			expect(await codeOf(async () => call(object()))).toBe('SQLITE_MISSING');
		},
	);

	it('has no key, and refuses upgrades with one', async () => {
		const { upgradeKey } = await object().attach('one', { withKey: true });
		expect(upgradeKey).toBeUndefined();
		for (const key of ['', 'undefined', 'k'.repeat(43)]) {
			expect((await claim(object(), key, { sessionId: 'one' })).status).toBe(403);
		}
	});

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
