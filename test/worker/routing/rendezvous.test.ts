import { expect, it } from 'vitest';
import { rendezvous } from '../../../src/worker/routing/rendezvous.ts';

const KEYS = 100_000;
const uuids = Array.from({ length: KEYS }, () => crypto.randomUUID());
const counted = Array.from({ length: KEYS }, (_, n) => `session-${n}`);

it.each([
	['UUIDs', uuids],
	['numbered ids', counted],
])('%s are spread evenly over 64 homes: the fullest has at most 1.10 of the mean', (_, keys) => {
	const counts = new Uint32Array(64);
	for (const key of keys) {
		const home = rendezvous(key, 64);
		counts[home] = (counts[home] ?? 0) + 1;
	}
	expect(Math.max(...counts) / (KEYS / 64)).toBeLessThanOrEqual(1.1);
});

it.each([1, 2, 3, 4, 8, 16, 63])(
	'from %i homes to one more, few move, and only to the new one',
	(homes) => {
		let moved = 0;
		for (const key of uuids) {
			const [before, after] = [rendezvous(key, homes), rendezvous(key, homes + 1)];
			if (before === after) continue;
			moved++;
			expect(after).toBe(homes);
		}
		expect(moved / KEYS).toBeLessThanOrEqual(1.2 / (homes + 1));
	},
);
