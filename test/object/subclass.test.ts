import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SyncLayer } from '../../src/index.ts';
import { Wire } from '../support/socket.ts';

const MINUTE_MS = 60_000;

class Reminder extends SyncLayer {
	rang = 0;
	fails = false;

	remindAt(time: number): Promise<void> {
		return this.ownAlarm.set(time);
	}

	protected override onAlarm(): void {
		this.rang++;
		if (this.fails) throw new Error('not now');
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
		// It schedules something of the library's own, later than that.
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

it('an alarm of a subclass that fails rings again a minute later, and what has expired is deleted all the same', async () => {
	await runInDurableObject(object, async (_, state) => {
		const reminder = new Reminder(state, env);
		reminder.fails = true;
		const start = Date.now();
		const clock = vi.spyOn(Date, 'now').mockReturnValue(start);
		const logged = vi.spyOn(console, 'error').mockReturnValue();
		await reminder.remindAt(start);
		await state.storage.deleteAlarm();
		await reminder.alarm();
		expect(logged.mock.calls).toEqual([[expect.objectContaining({ message: 'not now' })]]);
		await vi.waitFor(async () => expect(await state.storage.getAlarm()).toBe(start + MINUTE_MS));
		reminder.fails = false;
		clock.mockReturnValue(start + MINUTE_MS);
		await reminder.alarm();
		await reminder.alarm();
		expect(reminder.rang).toBe(2);
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
