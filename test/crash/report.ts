import type { CrashOptions, Result } from './crash.ts';

const SHOWN_DETAILS = 20;

/** What must not happen, whatever else does. */
export function failuresOf(result: Result) {
	const { lost, duplicated, outOfOrder, uninvited, sessionsLost, unconfirmed, logs } = result;
	return {
		lost,
		duplicated,
		outOfOrder,
		foreign: uninvited,
		sessionsLost,
		unconfirmed,
		otherLogs: Math.max(logs - 1, 0),
	};
}

export function reportOf(options: CrashOptions, result: Result): string {
	const { seed, sessions } = options;
	const { counts, seconds, details, histories } = result;
	const count = (what: string) => counts[what] ?? 0;
	const aMinute = (what: string) => Math.round((count(what) * 60) / seconds).toLocaleString('en');
	const others = Object.entries(counts)
		.filter(([what]) => !['deliveries', 'kills', 'replaced', 'reconnects'].includes(what))
		.map(([what, times]) => `${what} ${times}`);
	return [
		`crash, seed ${seed}: ${sessions} sessions at a time, ${result.served} in all, ${result.messages} messages, ${seconds.toFixed(1)} s`,
		`deliveries ${count('deliveries')} (${aMinute('deliveries')} a minute), kills ${count('kills')} (${aMinute('kills')} a minute, up again after ${result.startMs.toFixed(0)} ms), replaced objects ${count('replaced')}, reconnects ${count('reconnects')}`,
		`lost ${result.lost}, duplicated ${result.duplicated}, out of order ${result.outOfOrder}, foreign ${result.uninvited}, sessions lost ${result.sessionsLost}, unconfirmed ${result.unconfirmed}, logs ${result.logs}`,
		`gaps ${result.gaps}, cut off ${result.cutOff}, repeated ${result.repeated}`,
		others.join(', '),
		...details.slice(0, SHOWN_DETAILS).map(({ text }) => text),
		...histories.slice(0, SHOWN_DETAILS),
	].join('\n');
}
