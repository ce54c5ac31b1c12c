import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import { openSocket } from '../../src/advanced.ts';
import { codeOf } from '../support/codes.ts';
import { Wire } from '../support/socket.ts';

// In a file of its own: that so many sockets are lost when they are collected keeps whatever runs then for seconds.
it('an upgrade is refused by an object that holds all the sockets it can', async () => {
	const object = env.TMCP_DURABLE_OBJECT.getByName(crypto.randomUUID());
	const wire = await Wire.open(object, 'one');
	const peers = await runInDurableObject(object, (_, state) => {
		const { length } = state.getWebSockets();
		return Array.from({ length: 32_768 - length }, () => {
			const { 0: peer, 1: filler } = new WebSocketPair();
			state.acceptWebSocket(filler, ['filler x']);
			return peer;
		});
	});
	const again = await object.attach('one');
	expect(await codeOf(() => openSocket(object, again))).toBe('OBJECT_FULL');
	const other = await object.attach('two');
	expect(await codeOf(() => openSocket(object, other))).toBe('OBJECT_FULL');
	expect(await object.broadcast(undefined, 'still here')).toEqual({
		delivered: 1,
		missed: 0,
	});
	await vi.waitFor(() => expect(wire.received).toEqual(['still here']));
	expect(await object.stats()).toMatchObject({ streams: 1, sessions: 1 });
	expect(await object.has('two')).toBe(false);
	expect(peers).toHaveLength(32_767);
}, 30_000);
