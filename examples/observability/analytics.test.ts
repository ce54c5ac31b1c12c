import { env, exports } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import { ringOnce } from './client.ts';

it('writes a data point for each event of Worker and object', async () => {
	const write = vi.spyOn(env.EVENTS, 'writeDataPoint');

	await ringOnce((url, init) => exports.default.fetch(url, init));

	const points = () => write.mock.calls.map(([point]) => point);
	await vi.waitFor(() => {
		const blobs = points().map((point) => point?.blobs?.slice(0, 3));
		expect(blobs).toContainEqual(['attached', 'worker', '0']);
		expect(blobs).toContainEqual(['attached', 'object', '0']);
		expect(blobs).toContainEqual(['delivered', 'object', '0']);
		expect(blobs).toContainEqual(['delivered', 'worker', '']);
	});
	const sent = points().find((point) => point?.blobs?.[4] === 'all');
	expect(sent?.indexes).toEqual(['delivered']);
	expect(sent?.doubles?.[0]).toBe(1);
});
