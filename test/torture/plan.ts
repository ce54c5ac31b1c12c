/** What a torture run does, step by step. The same seed and size always make the same plan. */
import { Random } from './random.ts';

export interface Size {
	sessions: number;
	messages: number;
}

/** How a client goes away: it says so, its connection breaks, or it just reads no more. */
const DROPS = ['cancelled', 'aborted', 'abandoned'] as const;
export type Drop = (typeof DROPS)[number];

export interface Send {
	kind: 'send';
	/** Names the message, from 0. */
	message: number;
	/** To which sessions; `undefined` for all. */
	to: number[] | undefined;
	/** The call itself, which is repeated until it is confirmed, or the manager, which repeats by itself. */
	through: 'broadcast' | 'manager';
	/** Repeat it with the same id although it was confirmed, after so many milliseconds. */
	againAfterMs: number | undefined;
	/** The id that all tries share. */
	id: string;
	/** Characters of payload beside the message's number. */
	padding: number;
}

export type Disturbance =
	/** Evict the object. */
	| { kind: 'hibernate' | 'close' }
	| { kind: 'abort' }
	/** Close one socket from inside the object. `pick` is 0 to 1. */
	| { kind: 'socket'; pick: number }
	| { kind: 'drop'; session: number; how: Drop; awayMs: number };

export type Step =
	| Send
	| Disturbance
	/** The session's client opens its first stream. */
	| { kind: 'join'; session: number }
	| { kind: 'pause'; ms: number };

/** How many steps of a kind come for one message. */
const RATES: [rate: number, make: (random: Random, size: Size) => Step][] = [
	[1 / 12, (random) => ({ kind: 'pause', ms: random.below(30) })],
	[1 / 30, () => ({ kind: 'hibernate' })],
	[1 / 60, () => ({ kind: 'close' })],
	[1 / 60, () => ({ kind: 'abort' })],
	[1 / 20, (random) => ({ kind: 'socket', pick: random.next() })],
	[
		1 / 12,
		(random, { sessions }) => ({
			kind: 'drop',
			session: random.below(sessions),
			how: random.pick(DROPS),
			awayMs: random.below(60),
		}),
	],
];

export function makePlan(seed: number, size: Size): Step[] {
	const random = new Random(seed);
	const steps: Step[] = [];
	// Half of the sessions are there from the start, the others come by and by.
	const late: number[] = [];
	for (let session = 0; session < size.sessions; session++) {
		if (random.below(2) === 0) steps.push({ kind: 'join', session });
		else late.push(session);
	}
	const joinEvery = Math.floor(size.messages / 2 / (late.length + 1));
	for (let message = 0; message < size.messages; message++) {
		if (late.length > 0 && message % joinEvery === joinEvery - 1) {
			steps.push({ kind: 'join', session: late.shift() ?? 0 });
			// The object goes away while that stream opens.
			if (random.below(2) === 0)
				steps.push({ kind: 'pause', ms: random.below(8) }, { kind: 'abort' });
		}
		steps.push(makeSend(random, message, size));
		for (const [rate, make] of RATES) if (random.next() < rate) steps.push(make(random, size));
	}
	return steps;
}

function makeSend(random: Random, message: number, { sessions }: Size): Send {
	const isGeneral = random.below(4) === 0;
	const to = new Set(Array.from({ length: 1 + random.below(3) }, () => random.below(sessions)));
	return {
		kind: 'send',
		message,
		to: isGeneral ? undefined : [...to],
		through: random.below(8) === 0 ? 'manager' : 'broadcast',
		againAfterMs: random.below(10) === 0 ? random.below(100) : undefined,
		id: random.uuid(),
		padding: random.below(50) === 0 ? 40_000 : random.below(200),
	};
}
