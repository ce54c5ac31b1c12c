import { parseArgs } from 'node:util';
import type { Clock } from './driver.ts';
import { isRowName, ROW_NAMES, rowOf, type RowName } from './rows.ts';
import { SUBJECTS, type Subject } from './subjects.ts';

export const USAGE = `npm run bench -- [flags]
  --n 1000,5000,10000     streams in one object
  --samples 5             processes for each median
  --subjects ours,bare    of: ${SUBJECTS.join(', ')}
  --rows attach,delete    of: ${ROW_NAMES.join(', ')};
                          or streams, log, wake for all of a kind
  --profile ours          where CPU time goes, instead of how long it takes; with --n and --rows
  --cpu                   count the CPU time of workerd, not what passes: on a busy machine (Linux)
  --write                 write results.json and the charts (a run without flags does)
`;

export interface Flags {
	n: number[];
	samples: number;
	subjects: Subject[];
	rows: RowName[];
	profile: Subject | undefined;
	clock: Clock;
	write: boolean;
}

/** @throws for what is no flag, or no value of one */
export function parseFlags(args: string[]): Flags {
	const { values } = parseArgs({
		args,
		options: {
			n: { type: 'string' },
			samples: { type: 'string' },
			subjects: { type: 'string' },
			rows: { type: 'string' },
			profile: { type: 'string' },
			cpu: { type: 'boolean' },
			write: { type: 'boolean' },
		},
	});
	return {
		n: list(values.n ?? '1000,5000,10000').map(count),
		samples: count(values.samples ?? '5'),
		subjects: values.subjects === undefined ? [...SUBJECTS] : list(values.subjects).map(subject),
		rows: values.rows === undefined ? ROW_NAMES : list(values.rows).flatMap(rows),
		profile: values.profile === undefined ? undefined : subject(values.profile),
		clock: values.cpu ? 'cpu' : 'elapsed',
		write: values.write ?? args.length === 0,
	};
}

function list(text: string): string[] {
	return text.split(',').map((part) => part.trim());
}

function count(text: string): number {
	if (!/^[1-9]\d{0,4}$/.test(text)) throw new Error(`${text} is not a number from 1 to 99999.`);
	return Number(text);
}

function subject(name: string): Subject {
	const found = SUBJECTS.find((known) => known === name);
	if (!found) throw new Error(`${name} is no subject: take ${SUBJECTS.join(', ')}.`);
	return found;
}

function rows(name: string): RowName[] {
	if (isRowName(name)) return [name];
	const found = ROW_NAMES.filter((row) => rowOf(row).scenario === name);
	if (found.length === 0) throw new Error(`${name} is no row: take ${ROW_NAMES.join(', ')}.`);
	return found;
}
