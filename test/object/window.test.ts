import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { CloseCode } from '../../src/advanced.ts';
import { Wire } from '../support/socket.ts';

const object = () => env.TMCP_DURABLE_OBJECT.getByName('window');

it('a replay is sent in portions of the window, in which each event weighs 1 KiB beside its own', async () => {
	const { log } = await object().attach('one');
	await object().broadcast(['one'], '0');
	const sent = Array.from({ length: 50 }, (_, index) => `${index}`);
	await runInDurableObject(object(), (instance) => {
		for (const data of sent.slice(1)) instance.broadcast(['one'], data);
	});
	const [got, portions]: [string[], number[]] = [[], []];
	while (got.length < sent.length) {
		const wire = await Wire.open(object(), 'one', `${log?.eventIdPrefix}${got.length}`, 20 * 1_024);
		if (portions.length < 2) {
			expect((await wire.closed).code).toBe(CloseCode.windowFull);
		} else {
			await expect.poll(() => wire.received.length).toBeGreaterThanOrEqual(10);
		}
		got.push(...wire.received);
		portions.push(wire.received.length);
	}
	expect(got).toEqual(sent);
	expect(portions).toEqual([20, 20, 10]);
});
