import { type InfoSessionManager, InMemoryInfoSessionManager } from '@tmcp/session-manager';
import { describe, expect, it } from 'vitest';
import {
	DurableObjectInfoSessionManager,
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
} from '../../src/index.ts';

/** What every InfoSessionManager does, whatever keeps its state. */
const implementations: [string, () => InfoSessionManager][] = [
	['InMemoryInfoSessionManager', () => new InMemoryInfoSessionManager()],
	['KVInfoSessionManager', () => new KVInfoSessionManager()],
	['DurableObjectInfoSessionManager', () => new DurableObjectInfoSessionManager()],
	[
		'DurableObjectInfoSessionManager that takes over from KV',
		() => new DurableObjectInfoSessionManager(undefined, { fallback: new KVInfoSessionManager() }),
	],
	[
		'what DurableObjectInfoSessionManager.with() makes while it takes over',
		() =>
			new DurableObjectInfoSessionManager(undefined, { fallback: new KVInfoSessionManager() }).with(
				new DurableObjectStreamSessionManager(),
			).info,
	],
];

const LEVELS = [
	'debug',
	'info',
	'notice',
	'warning',
	'error',
	'critical',
	'alert',
	'emergency',
] as const;
const sorted = (ids: string[]) => ids.toSorted();

describe.each(implementations)('%s', (_, make) => {
	const session = () => `session:${crypto.randomUUID()}`;
	const resource = () => `memo://${crypto.randomUUID()}`;

	it('gives back client info and capabilities as they were set', async () => {
		const [info, id] = [make(), session()];
		const clientInfo = {
			name: 'ünïcode',
			version: '1',
			title: 'T',
			icons: [{ src: 'a', sizes: ['1x1'] }],
		};
		const capabilities = {
			roots: { listChanged: true },
			sampling: {},
			elicitation: { form: {} },
			extra: [1],
		};
		await info.setClientInfo(id, clientInfo);
		await info.setClientCapabilities(id, capabilities);
		expect(await info.getClientInfo(id)).toEqual(clientInfo);
		expect(await info.getClientCapabilities(id)).toEqual(capabilities);
	});

	it.each(LEVELS)('gives back the log level %s as it was set', async (level) => {
		const [info, id] = [make(), session()];
		await info.setLogLevel(id, 'info');
		await info.setLogLevel(id, level);
		expect(await info.getLogLevel(id)).toBe(level);
	});

	it('gives back at once what was set without waiting', async () => {
		const [info, id] = [make(), session()];
		info.setLogLevel(id, 'error');
		info.setLogLevel(id, 'alert');
		expect(await info.getLogLevel(id)).toBe('alert');
	});

	it('rejects for what was never set, and for what was deleted', async () => {
		const [info, id] = [make(), session()];
		for (const round of ['never set', 'deleted']) {
			await expect(info.getClientInfo(id), round).rejects.toThrow(/found/i);
			await expect(info.getClientCapabilities(id), round).rejects.toThrow(/found/i);
			await expect(info.getLogLevel(id), round).rejects.toThrow(/found/i);
			await info.setClientInfo(id, { name: 'a', version: '1' });
			await info.setClientCapabilities(id, {});
			await info.setLogLevel(id, 'info');
			await info.delete(id);
		}
	});

	it('names the subscribers of exactly one URI', async () => {
		const [info, uri] = [make(), resource()];
		const uris = [
			uri,
			`${uri}b`,
			`${uri}:b`,
			`${uri}bc/d`,
			`${uri} x`,
			`${uri}é`,
			`${uri}${'x'.repeat(4000)}`,
		];
		const subscribers = uris.map(() => session());
		for (const [i, id] of subscribers.entries()) await info.addSubscription(id, uris[i] ?? '');
		for (const [i, id] of subscribers.entries())
			expect(await info.getSubscriptions(uris[i] ?? '')).toEqual([id]);
	});

	it('counts a subscription once, however often it is added', async () => {
		const [info, id, uri] = [make(), session(), resource()];
		for (let i = 0; i < 3; i++) await info.addSubscription(id, uri);
		expect(await info.getSubscriptions(uri)).toEqual([id]);
		await info.removeSubscription(id, uri);
		expect(await info.getSubscriptions(uri)).toEqual([]);
	});

	it('removes one session’s subscription of one URI and nothing else', async () => {
		const [info, uri] = [make(), resource()];
		const [one, two] = [session(), session()];
		for (const id of [one, two])
			for (const of of [uri, `${uri}b`]) await info.addSubscription(id, of);
		await info.removeSubscription(one, uri);
		expect(await info.getSubscriptions(uri)).toEqual([two]);
		expect(sorted(await info.getSubscriptions(`${uri}b`))).toEqual(sorted([one, two]));
		await info.removeSubscription(session(), uri);
		expect(await info.getSubscriptions(uri)).toEqual([two]);
	});

	it('deletes all that is a session’s own, and nothing of one whose id begins with it', async () => {
		const [info, uri, id] = [make(), resource(), session()];
		const longer = `${id}:x`;
		for (const of of [id, longer]) {
			await info.setClientInfo(of, { name: of, version: '1' });
			await info.addSubscription(of, uri);
			await info.addSubscription(of, `${uri}2`);
		}
		await info.delete(id);
		await expect(info.getClientInfo(id)).rejects.toThrow(/found/i);
		expect(await info.getClientInfo(longer)).toEqual({ name: longer, version: '1' });
		expect(await info.getSubscriptions(uri)).toEqual([longer]);
		expect(await info.getSubscriptions(`${uri}2`)).toEqual([longer]);
	});
});
