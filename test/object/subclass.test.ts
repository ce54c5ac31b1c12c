import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SyncLayer } from '../../src/index.ts';
import { Wire } from '../support/socket.ts';

const MINUTE_MS = 60_000;

class Reminder extends SyncLayer {
	rang = 0;

	remindAt(time: number): Promise<void> {
		return this.ownAlarm.set(time);
	}

	protected override onAlarm(): void {
		this.rang++;
	}
}

let object: DurableObjectStub<SyncLayer>;
beforeEach(() => {
	object = env.TMCP_DURABLE_OBJECT.getByName(crypto.randomUUID());
});
afterEach(() => {
	vi.restoreAllMocks();
});

it('a subclass has an alarm of its own, which rings once, beside the one that deletes what has expired', async () => {
	await runInDurableObject(object, async (_, state) => {
		const reminder = new Reminder(state, env);
		const start = Date.now();
		const clock = vi.spyOn(Date, 'now').mockReturnValue(start);
		await reminder.remindAt(start + 2 * MINUTE_MS);
		// Earlier than that: an ended session that nobody was told of by then.
		reminder.broadcast(['one'], 'x');
		await vi.waitFor(async () =>
			expect(await state.storage.getAlarm()).toBe(start + 2 * MINUTE_MS),
		);
		clock.mockReturnValue(start + MINUTE_MS);
		await reminder.alarm();
		expect(reminder.rang).toBe(0);
		clock.mockReturnValue(start + 2 * MINUTE_MS);
		await reminder.alarm();
		await reminder.alarm();
		expect(reminder.rang).toBe(1);
	});
});

it('a subclass has sockets of its own, which get no message and may speak', async () => {
	const wire = await Wire.open(object, 'one');
	await runInDurableObject(object, (instance, state) => {
		const { 0: peer, 1: own } = new WebSocketPair();
		state.acceptWebSocket(own, ['room 1']);
		const received: unknown[] = [];
		peer.addEventListener('message', ({ data }) => received.push(data));
		peer.accept();
		expect(instance.broadcast(undefined, 'x')).toMatchObject({ delivered: 1 });
		void instance.webSocketMessage(own, 'hello');
		void instance.webSocketError(own, new Error('broken'));
		expect(own.readyState).toBe(WebSocket.OPEN);
		expect(received).toEqual([]);
		own.close();
	});
	await vi.waitFor(() => expect(wire.received).toEqual(['x']));
});
