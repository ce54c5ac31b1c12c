import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { Sessions } from '../../src/object/sessions/sessions.ts';
import { Subscribers } from '../../src/object/sessions/subscribers.ts';
import type { SyncLayer } from '../../src/index.ts';
import { Wire } from '../support/socket.ts';

const OWNER = 'o'.repeat(43);
const RESOURCES = [...'abcdef'].map((letter) => letter.repeat(43));
const [FIRST = '', SECOND = ''] = RESOURCES;

let name: string;
beforeEach(() => void (name = crypto.randomUUID()));
const object = (): DurableObjectStub<SyncLayer> => env.TMCP_DURABLE_OBJECT.getByName(name);
const subscribersOf = async (resource: string) =>
	(await object().subscribersOf(resource)).toSorted();

/** The object has looked for subscribers, and so remembers them from now on. */
async function asked(): Promise<void> {
	await object().subscribersOf(FIRST);
}

describe('subscribers that are remembered', () => {
	beforeEach(async () => {
		for (const session of ['one', 'two', 'three']) await object().begin(session, OWNER);
		await object().inform('one', [{ subscribe: FIRST }, { subscribe: SECOND }]);
		await object().inform('two', [{ subscribe: FIRST }]);
		await asked();
	});

	it('are right after each change', async () => {
		expect(await subscribersOf(FIRST)).toEqual(['one', 'two']);
		await object().inform('three', [{ subscribe: FIRST }]);
		await object().inform('one', [{ unsubscribe: FIRST }]);
		expect(await subscribersOf(FIRST)).toEqual(['three', 'two']);
		expect(await subscribersOf(SECOND)).toEqual(['one']);
		await object().inform('two', [{ forget: true }]);
		await object().end('one');
		expect(await subscribersOf(FIRST)).toEqual(['three']);
		expect(await subscribersOf(SECOND)).toEqual([]);
	});

	it('are those that begin again with the same id only once they subscribe', async () => {
		await object().end('one');
		await object().begin('one', OWNER);
		expect(await subscribersOf(FIRST)).toEqual(['two']);
		await object().inform('one', [{ subscribe: FIRST }]);
		expect(await subscribersOf(FIRST)).toEqual(['one', 'two']);
	});

	it('expire in their time, but not while their stream is open', async () => {
		await Wire.open(object(), 'one');
		await runInDurableObject(object(), (_, { storage }) => {
			storage.sql.exec('UPDATE tmcp_sessions SET expires_at = ?', Date.now() + 100);
		});
		await evictDurableObject(object(), { webSockets: 'hibernate' });
		expect(await subscribersOf(FIRST)).toEqual(['one', 'two']);
		await expect.poll(() => subscribersOf(FIRST)).toEqual(['one']);
		await runInDurableObject(object(), (instance) => instance.alarm());
		expect(await subscribersOf(FIRST)).toEqual(['one']);
		await object().admit('one', OWNER);
		await object().detach('one');
		expect(await subscribersOf(FIRST)).toEqual(['one']);
	});
});

it('more subscriptions than are to be remembered are found all the same', async () => {
	await runInDurableObject(object(), (_, { storage }) => {
		const sessions = new Sessions(storage.sql);
		const now = Date.now();
		const put = (sessionId: string, resources: string | undefined, expiresAt = now + 1_000) =>
			sessions.put({
				state: 'begun',
				sessionId,
				owner: undefined,
				since: 0,
				expiresAt,
				info: '{}',
				resources,
			});
		put('one', RESOURCES.slice(0, 3).join('\n'));
		put('two', RESOURCES.slice(2, 4).join('\n'));
		put('expired', RESOURCES.join('\n'), now);
		put('none', undefined);
		// 3 + 2 + 6 of them.
		for (const max of [0, 1, 10, 11, 100]) {
			const subscribers = new Subscribers(storage.sql, max);
			const found = () => RESOURCES.map((resource) => subscribers.to(resource, now).toSorted());
			const all = [['one'], ['one'], ['one', 'two'], ['two'], [], []];
			expect(found()).toEqual(all);
			expect(found()).toEqual(all);
		}
		// One too many while they are remembered.
		const subscribers = new Subscribers(storage.sql, 11);
		expect(subscribers.to(FIRST, now)).toEqual(['one']);
		put('none', FIRST);
		subscribers.changed('none', sessions.get('none'));
		expect(subscribers.to(FIRST, now)).toEqual(['none', 'one']);
	});
});
