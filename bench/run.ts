import { benchmark } from './benchmark.ts';
import { type Flags, parseFlags, USAGE } from './flags.ts';
import { judge } from './goals.ts';
import { describeMachine, machineLine } from './machine.ts';
import { profile } from './profile.ts';
import { FULL_SIZES } from './scenarios.ts';
import { DESCRIPTIONS } from './subjects.ts';
import { goalsTable, timesTable } from './table.ts';
import { write } from './write.ts';

function readFlags(): Flags {
	try {
		return parseFlags(process.argv.slice(2));
	} catch (error) {
		console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
		process.exit(2);
	}
}

const flags = readFlags();
const machine = await describeMachine();
console.log(`${machineLine(machine)}\n`);

if (flags.profile) {
	console.log(await profile(flags.profile, flags.n, flags.rows));
} else {
	const measured = await benchmark({ ...flags, sizes: FULL_SIZES }, (what) => console.error(what));
	const verdicts = judge(measured);
	const { clock, samples, subjects } = flags;
	console.log(
		`\nMedians of ${samples}${clock === 'cpu' ? ', CPU time' : ''}.\n\n${timesTable(measured, subjects)}\n`,
	);
	for (const subject of subjects) console.log(`${subject}: ${DESCRIPTIONS[subject]}`);
	console.log(`\n${goalsTable(verdicts)}`);
	if (flags.write) {
		const files = await write({ machine, clock, samples, measured, verdicts });
		console.log(`\nWritten into bench/: ${files.join(', ')}.`);
	}
}
