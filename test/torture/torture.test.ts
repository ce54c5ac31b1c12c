import { beforeEach, expect, inject, it, vi } from 'vitest';
import type { Size } from './plan.ts';
import { Random } from './random.ts';
import { Torture } from './run.ts';

declare module 'vitest' {
	interface ProvidedContext {
		/** From `vitest.config.ts`. */
		torture: { seed: number; size: Size };
	}
}

const { size, seed } = inject('torture');

/** The pauses before coming back are as random as ever, but short, so that no stream rests for long. */
beforeEach(() => {
	const random = new Random(seed);
	vi.spyOn(Math, 'random').mockImplementation(() => random.next() / 500);
});

it.each([
	{ what: 'whatever happens meanwhile', growth: [1] },
	{
		what: 'while there are 1, then 2, then 5 homes, and an old version of the Worker beside new ones',
		growth: [1, 2, 5],
	},
])(
	'loses, repeats and swaps nothing, $what',
	async ({ growth }) => {
		const sessions = growth.length === 1 ? size.sessions : 3 * size.sessions;
		const torture = new Torture(seed, { ...size, sessions }, growth);
		const { counts, details, seconds, ...result } = await torture.run();
		const { lost, duplicated, outOfOrder, uninvited, gaps } = result;
		console.log(
			[
				`torture, seed ${seed}: ${sessions} sessions, ${size.messages} messages, ${seconds.toFixed(1)} s`,
				`lost ${lost}, duplicated ${duplicated}, out of order ${outOfOrder}, uninvited ${uninvited}, gaps ${gaps}`,
				Object.entries(counts)
					.map(([what, times]) => `${what} ${times}`)
					.join(', '),
				...details.slice(0, 20).map(({ text }) => text),
			].join('\n'),
		);
		expect({ seed, ...result }).toEqual({
			seed,
			lost: 0,
			duplicated: 0,
			repeated: 0,
			outOfOrder: 0,
			uninvited: 0,
			gaps: 0,
			waiting: 0,
		});
	},
	300_000,
);
