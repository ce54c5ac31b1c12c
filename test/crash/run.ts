/** `npm run crash`: kill the server again and again, and see what its clients make of it. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Crash } from './crash.ts';
import { failuresOf, reportOf } from './report.ts';

const USAGE = `npm run crash -- [flags]
  --seed=N        repeat a run, as far as the outside world allows (default: random)
  --sessions=N    sessions at a time (default 60)
  --rate=N        messages a second, at most (default 60)
  --seconds=N     disturb for so long at least (default 60), …
  --kills=N       … until the process was killed so often (default 0), …
  --deliveries=N  … and clients have received so much (default 0)`;

const { values } = parseArgs({
	options: {
		help: { type: 'boolean', default: false },
		seed: { type: 'string', default: String(randomInt(2 ** 32)) },
		sessions: { type: 'string', default: '60' },
		rate: { type: 'string', default: '60' },
		seconds: { type: 'string', default: '60' },
		kills: { type: 'string', default: '0' },
		deliveries: { type: 'string', default: '0' },
	},
});

function numberOf(flag: Exclude<keyof typeof values, 'help'>): number {
	const number = Number(values[flag]);
	if (Number.isSafeInteger(number) && number >= 0) return number;
	throw new Error(`--${flag} takes a whole number, not ${values[flag]}.`);
}

if (values.help) {
	console.log(USAGE);
	process.exit();
}

// Each ends workerd on its way out.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
	process.once(signal, () => process.exit(1));

const options = {
	seed: numberOf('seed'),
	sessions: numberOf('sessions'),
	rate: numberOf('rate'),
	seconds: numberOf('seconds'),
	kills: numberOf('kills'),
	deliveries: numberOf('deliveries'),
};
console.log(`crash, seed ${options.seed}`);
const result = await new Crash(options, ({ deliveries = 0, kills = 0 }, seconds) =>
	console.log(`${seconds.toFixed(0)} s: deliveries ${deliveries}, kills ${kills}`),
).run();
console.log(reportOf(options, result));
process.exit(Object.values(failuresOf(result)).every((count) => count === 0) ? 0 : 1);
