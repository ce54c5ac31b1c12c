/** How a client behaves. The same numbers always make the same decisions. */
import type { Random } from '../torture/random.ts';
import type { Leaving, Reading } from './event-stream.ts';

/** Those that stay are twice as many as each other kind. */
const KINDS = ['steady', 'steady', 'slow', 'vanishing', 'freezing', 'hasty'] as const;
export type Kind = (typeof KINDS)[number];

interface Leave {
	how: Leaving;
	/** From when its first event was read or, where none is, from when it was asked for, in milliseconds. */
	afterMs: number;
	/** Until it comes back. */
	awayMs: number;
	/** It comes back as if it had read no id, as a client whose process has died. */
	forgets: boolean;
}

export interface ConnectionPlan {
	reading: Reading;
	/** The pause after each piece that a slow one reads, in milliseconds. */
	slowMs: number;
	/** `undefined` where it stays as long as it can. */
	leave: Leave | undefined;
}

export function pickKind(random: Random): Kind {
	return random.pick(KINDS);
}

/** How long a session lasts, in milliseconds. */
export function pickLifeMs(random: Random): number {
	return 4_000 + random.below(36_000);
}

/** @param has what the client knows: `nothing` before its first connection, `noId` before it has read an id */
export function planConnection(
	random: Random,
	kind: Kind,
	has: 'nothing' | 'noId' | 'id',
): ConnectionPlan {
	const plan: ConnectionPlan = {
		reading: kind === 'slow' ? 'slow' : 'full',
		slowMs: 50 + random.below(350),
		leave: undefined,
	};
	const leave = (how: Leaving, afterMs: number, awayMs: number): Leave => ({
		how,
		afterMs,
		awayMs,
		forgets: false,
	});
	if (has !== 'id' && random.below(3) === 0) {
		const how = random.pick(['close', 'reset', 'freeze'] as const);
		return { ...plan, reading: 'none', leave: leave(how, random.below(120), random.below(200)) };
	}
	if (has === 'nothing' && random.below(6) === 0) {
		const how = random.pick(['close', 'reset', 'freeze'] as const);
		const forgotten = leave(how, 20 + random.below(900), random.below(100));
		return { ...plan, leave: { ...forgotten, forgets: true } };
	}
	switch (kind) {
		case 'vanishing':
			return { ...plan, leave: leave('reset', 100 + random.below(5_000), random.below(600)) };
		case 'freezing':
			return { ...plan, leave: leave('freeze', 100 + random.below(5_000), random.below(1_000)) };
		case 'hasty':
			return { ...plan, leave: leave('close', 50 + random.below(3_000), 0) };
		default:
			return plan;
	}
}
