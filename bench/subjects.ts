/** What is measured, in the order of the table. Each has a Worker of its name in `worker/subjects`. */
export const SUBJECTS = [
	'peer',
	'ours',
	'ours-log-off',
	'bare',
	'bare-calls',
	'durable-floor',
] as const;

export type Subject = (typeof SUBJECTS)[number];

export const DESCRIPTIONS: Record<Subject, string> = {
	peer: '@tmcp/session-manager-durable-objects 0.3.0',
	ours: 'this library',
	'ours-log-off': 'this library with `log: false`',
	bare: 'no library: an upgrade, a loop of `ws.send`, nothing stored',
	'bare-calls': 'the same with two parallel calls for an attach, as this library makes them',
	'durable-floor': 'the same with one durable row for an attach, a broadcast and a delete each',
};
