import { expect, test } from 'vitest';
import { Crash, type CrashOptions } from './crash.ts';
import { failuresOf, reportOf } from './report.ts';

/** In milliseconds. The run takes half a minute, and longer on a machine that is busy with something else. */
const LIMIT_MS = 150_000;

const OPTIONS: CrashOptions = {
	seed: 20_250_618,
	sessions: 50,
	rate: 60,
	seconds: 22,
	kills: 6,
	deliveries: 10_001,
};

test(
	'nothing is lost, repeated, swapped or misdirected where the process is killed again and again',
	{ timeout: LIMIT_MS },
	async () => {
		const result = await new Crash(OPTIONS).run();
		console.log(reportOf(OPTIONS, result));
		expect(failuresOf(result)).toEqual({
			lost: 0,
			duplicated: 0,
			outOfOrder: 0,
			foreign: 0,
			sessionsLost: 0,
			unconfirmed: 0,
			otherLogs: 0,
		});
		expect(result.counts['kills']).toBeGreaterThan(5);
		expect(result.counts['deliveries']).toBeGreaterThan(10_000);
	},
);
