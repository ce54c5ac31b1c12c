import { abortAllDurableObjects, evictDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CloseCode } from '../../src/advanced.ts';
import { ownerOf, Wire } from '../support/socket.ts';

let name: string;
const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);
beforeEach(async () => {
	vi.useFakeTimers({ toFake: ['Date'] });
	name = crypto.randomUUID();
	await object().begin('one', 'o'.repeat(43));
	for (const data of ['a', 'b']) await object().broadcast(undefined, data);
});
afterEach(() => void vi.useRealTimers());

/** What comes on a stream whose client names no event id. */
async function heard(): Promise<string[]> {
	const wire = await Wire.open(object(), 'one');
	await object().broadcast(['one'], 'the end');
	await vi.waitFor(() => expect(wire.received.at(-1)).toBe('the end'));
	return wire.received.slice(0, -1);
}

describe.each([
	['is closed', async (wire: Wire) => wire.socket.close()],
	['is taken over by the next one', async () => {}],
	['is lost with the object', () => evictDurableObject(object(), { webSockets: 'close' })],
	['is lost with an object that is aborted', () => abortAllDurableObjects()],
	[
		'is lost with an object that then sent something',
		async () => {
			await evictDurableObject(object(), { webSockets: 'close' });
			await object().broadcast(['two'], 'for another');
		},
	],
])('a first stream that %s before its client has read an event id', (_, die) => {
	it('loses nothing: each one of its first minute gets it once more, and a single one after that', async () => {
		await die(await Wire.open(object(), 'one'));
		// This one dies unread, too.
		await die(await Wire.open(object(), 'one'));
		expect(await heard()).toEqual(['a', 'b']);
		vi.setSystemTime(Date.now() + 61_000);
		expect(await heard()).toEqual(['a', 'b', 'the end']);
		expect(await heard()).toEqual([]);
	});
});

it('a client that has shown an event id gets nothing twice', async () => {
	await Wire.open(object(), 'one');
	const { log } = await object().attach('one', await ownerOf(object(), 'one'));
	const wire = await Wire.open(object(), 'one', `${log?.eventIdPrefix}1`);
	await vi.waitFor(() => expect(wire.received).toEqual(['b']));
	expect(await heard()).toEqual([]);
});

it('a repeat that comes in portions ends where the first stream began to hear more, and is made once', async () => {
	for (let event = 0; event < 48; event++) await object().broadcast(undefined, `early ${event}`);
	const first = await Wire.open(object(), 'one');
	vi.setSystemTime(Date.now() + 61_000);
	for (const data of ['late 1', 'late 2']) await object().broadcast(undefined, data);
	await vi.waitFor(() => expect(first.received.at(-1)).toBe('late 2'));
	first.socket.close();
	await vi.waitFor(async () => expect(await object().has('one')).toBe(false));
	await object().broadcast(undefined, 'while away');
	const { log } = await object().attach('two');
	const connectionId = crypto.randomUUID();
	const heardBy: string[] = [];
	let lastEventId: string | undefined;
	for (let portions = 1; ; portions++) {
		const wire = await Wire.open(object(), 'one', lastEventId, 20 * 1_024, connectionId);
		if (portions > 3) throw new Error(`There are too many portions: ${heardBy.join()}`);
		if (portions === 3) {
			await vi.waitFor(() => expect(wire.received.at(-1)).toBe('while away'));
			heardBy.push(...wire.received);
			break;
		}
		expect(await wire.closed).toMatchObject({ code: CloseCode.windowFull });
		heardBy.push(...wire.received);
		lastEventId = `${log?.eventIdPrefix}${heardBy.length}`;
	}
	const early = Array.from({ length: 48 }, (_, event) => `early ${event}`);
	expect(heardBy).toEqual(['a', 'b', ...early, 'while away']);
	expect(await heard()).toEqual([]);
});
