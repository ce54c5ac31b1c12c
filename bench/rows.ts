import type { Subject } from './subjects.ts';

const WITH_EVENTS: readonly Subject[] = ['ours', 'durable-floor'];
const WITH_REPLAY: readonly Subject[] = ['ours'];

interface Row {
	/** `streams` rows are measured for each N, `log` rows once, `wake` rows at the N that a run says. */
	scenario: 'streams' | 'log' | 'wake';
	title: string;
	unit: 'ms' | 'KB';
	/** Which subjects can do it (default: all). */
	subjects?: readonly Subject[];
}

const ROWS = {
	attach: { scenario: 'streams', title: 'attach all, 50 at once', unit: 'ms' },
	memory: { scenario: 'streams', title: 'memory of workerd, per open stream', unit: 'KB' },
	broadcast: { scenario: 'streams', title: 'broadcast 200 B, until all received', unit: 'ms' },
	one: { scenario: 'streams', title: 'targeted at one', unit: 'ms' },
	half: { scenario: 'streams', title: 'targeted at half', unit: 'ms' },
	unknown: { scenario: 'streams', title: 'targeted at 100 ids, half of them unknown', unit: 'ms' },
	has: { scenario: 'streams', title: '`has`', unit: 'ms' },
	delete: { scenario: 'streams', title: 'delete all, 100 at once', unit: 'ms' },
	'delete-empty-log': {
		scenario: 'log',
		title: 'one DELETE, empty log',
		unit: 'ms',
		subjects: WITH_EVENTS,
	},
	'delete-full-log': {
		scenario: 'log',
		title: 'one DELETE, 10,000 events in the log',
		unit: 'ms',
		subjects: WITH_EVENTS,
	},
	'delete-full-log-40': {
		scenario: 'log',
		title: 'the same, 40 addressees each',
		unit: 'ms',
		subjects: WITH_EVENTS,
	},
	'get-empty-log': {
		scenario: 'log',
		title: 'GET of one who comes back, until its event, empty log',
		unit: 'ms',
		subjects: WITH_REPLAY,
	},
	'get-full-log': {
		scenario: 'log',
		title: 'the same, 10,000 events since, 40 addressees each',
		unit: 'ms',
		subjects: WITH_REPLAY,
	},
	'wake-has': { scenario: 'wake', title: 'first `has` after a wake', unit: 'ms' },
	'wake-one': {
		scenario: 'wake',
		title: 'first send to one after a wake',
		unit: 'ms',
	},
} as const satisfies Record<string, Row>;

export type RowName = keyof typeof ROWS;

export const ROW_NAMES = Object.keys(ROWS).filter(isRowName);

export function isRowName(name: string): name is RowName {
	return Object.hasOwn(ROWS, name);
}

export function rowOf(name: RowName): Row {
	return ROWS[name];
}

export function isFor(name: RowName, subject: Subject): boolean {
	return rowOf(name).subjects?.includes(subject) ?? true;
}
