import { evictDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Wire } from '../support/socket.ts';

let name: string;
const small = () => env.SHORT_LOG.getByName(name);
const log = async () => (await small().stats()).log;

describe('a session that is away for longer than the log reaches back', () => {
	let wire: Wire;
	beforeEach(async () => {
		name = crypto.randomUUID();
		wire = await Wire.openAgain(small(), 'one');
		await small().broadcast(['two'], 'old');
	});

	async function leave(): Promise<void> {
		wire.socket.close();
		await vi.waitFor(async () => expect(await small().has('one')).toBe(false));
	}

	/** All but the newest event, which stays, is too old. */
	const untilOld = () =>
		vi.waitFor(async () => expect(await log()).toMatchObject({ events: 1 }), 5_000);

	async function comesBack(): Promise<string[]> {
		const back = await Wire.open(small(), 'one');
		await small().broadcast(['one'], 'the end');
		await vi.waitFor(() => expect(back.received.at(-1)).toBe('the end'));
		return back.received.slice(0, -1);
	}

	it('is told so, too, where its stream was lost with the object, and that is no longer in the log either', async () => {
		await evictDurableObject(small(), { webSockets: 'close' });
		for (const data of ['cut', 'also', 'also', 'newest']) await small().broadcast(['one'], data);
		await untilOld();
		expect(await log()).toMatchObject({ events: 1, gaps: 0 });
		await evictDurableObject(small(), { webSockets: 'close' });
		expect((await small().attach('one')).log).toMatchObject({ recovered: false });
		expect(await comesBack()).toEqual(['newest']);
		expect(await log()).toMatchObject({ gaps: 1 });
	});

	it('is told that something for it was cut', async () => {
		await leave();
		await small().broadcast(['one'], 'cut');
		await small().broadcast(['two'], 'newest');
		await untilOld();
		expect((await small().attach('one')).log).toMatchObject({ recovered: false });
		expect(await comesBack()).toEqual([]);
		expect(await log()).toMatchObject({ gaps: 1 });
	});

	it('gets what was sent to all after it had left', async () => {
		await leave();
		await small().broadcast(undefined, 'to all');
		await untilOld();
		expect(await comesBack()).toEqual(['to all']);
		expect(await log()).toMatchObject({ gaps: 0 });
	});

	it('does not get again what it was handed before, though that is still there', async () => {
		await small().broadcast(undefined, 'handed');
		await vi.waitFor(() => expect(wire.received).toEqual(['handed']));
		await leave();
		await untilOld();
		expect(await comesBack()).toEqual([]);
		expect(await log()).toMatchObject({ gaps: 0 });
	});
});
