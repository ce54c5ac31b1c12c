import { env } from 'cloudflare:workers';
import { beforeEach, expect, it } from 'vitest';
import { openSocket } from '../../src/advanced.ts';
import { Wire } from '../support/socket.ts';

const [ALICE, BOB] = ['a'.repeat(43), 'b'.repeat(43)];

let name: string;
beforeEach(async () => {
	name = crypto.randomUUID();
	await object().begin('one', ALICE);
});
const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);
const ending = (owner: string, id = crypto.randomUUID()) => ({
	end: { session: 'one', owner, options: { id } },
	unsubscribe: { target: { origin: 'one' }, reason: 'cancelled', options: { id } } as const,
});

async function listen(origin: string): Promise<void> {
	const filters = { toolsListChanged: true };
	const subscribed = await object().subscribe({ id: 1, origin, filters });
	if (subscribed.kind !== 'subscribed') throw new Error(subscribed.kind);
	(await openSocket(object(), subscribed)).accept();
}

it('one call admits a session and ends it, with its stream', async () => {
	const wire = await Wire.open(object(), 'one');
	expect(await object().relay(ending(ALICE))).toMatchObject({ ended: true, homes: ['0'] });
	await wire.closed;
	expect(await object().admit('one', ALICE)).toBe(false);
	expect(await object().broadcast(['one'], 'x')).toMatchObject({ missed: 1 });
});

it('another owner ends nothing, and nothing else of the call is done', async () => {
	const other = { broadcasts: [{ sessions: ['one'], data: 'x' }], subscribersOf: ALICE };
	const call = object().relay({ ...ending(BOB), ...other });
	expect(await call).toEqual({
		homes: ['0'],
		broadcasts: [],
		published: 0,
		ended: false,
		unsubscribed: 0,
		subscribers: [],
		isVacant: false,
	});
	expect(await object().admit('one', ALICE)).toBe(true);
	expect((await object().stats()).log).toMatchObject({ events: 0 });
});

it('a retry of the call is answered as the call was, another call finds nothing to end', async () => {
	const call = ending(ALICE);
	expect(await object().relay(call)).toMatchObject({ ended: true });
	expect(await object().relay(call)).toMatchObject({ ended: true });
	expect(await object().relay(ending(ALICE))).toMatchObject({ ended: false });
});

it('the listen streams of its origin end with it, and no others', async () => {
	for (const origin of ['one', 'two']) await listen(origin);
	expect(await object().relay(ending(ALICE))).toMatchObject({ ended: true, unsubscribed: 1 });
	await expect.poll(async () => (await object().stats()).subscriptions).toBe(1);
});
