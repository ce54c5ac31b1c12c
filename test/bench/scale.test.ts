import { expect, test } from 'vitest';
import { measureScale, withScaleWorker } from '../../bench/scale.ts';

// The run itself throws where a client has missed a message, or got one twice.
test('a run at scale measures everything, and loses nothing when it is killed', async () => {
	const size = { homes: 2, streams: 40 };
	const run = await withScaleWorker((file) => measureScale(file, size));
	expect(run).toMatchObject(size);
	expect(run.broadcastMs.length).toBeGreaterThan(1);
	for (const [name, value] of Object.entries(run)) {
		if (typeof value === 'number' && name !== 'refused') expect(value, name).toBeGreaterThan(0);
	}
});
