/** Runs the official conformance suites, and reads what they write. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../quickstart/demo/dev-server.ts';

/** How long a scenario may take before the suite calls it failed, in milliseconds. */
const SCENARIO_LIMIT_MS = 20_000;

/** How long all scenarios of a run may take, in milliseconds. */
export const RUN_LIMIT_MS = 100_000;

/** What a run is: a release of the suite, and which of its scenarios. */
export interface Run {
	/** The folder in `node_modules`. */
	suite: 'conformance-0.1' | '@modelcontextprotocol/conformance';
	options: readonly string[];
}

/** All that both releases have for servers. The newer one has two sets: it speaks 2025-11-25 in the one, 2026-07-28 in the other. */
export const RUNS = {
	'0.1': { suite: 'conformance-0.1', options: ['--suite=all'] },
	'0.2 of 2025-11-25': {
		suite: '@modelcontextprotocol/conformance',
		options: ['--requirements=2025-11-25', `--timeout=${SCENARIO_LIMIT_MS}`],
	},
	'0.2 of 2026-07-28': {
		suite: '@modelcontextprotocol/conformance',
		options: ['--requirements=2026-07-28', `--timeout=${SCENARIO_LIMIT_MS}`],
	},
} as const satisfies Record<string, Run>;

export type RunName = keyof typeof RUNS;

/** What the suite says of a check. */
export type Status = 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';

/** By the id of a check: what became of it. `SUCCESS` and `INFO` are left out. An id stands for its worst occurrence. */
export type Unmet = Record<string, Exclude<Status, 'SUCCESS' | 'INFO'>>;

export interface Outcome {
	passed: number;
	unmet: Unmet;
}

const SEVERITY = ['INFO', 'SUCCESS', 'SKIPPED', 'WARNING', 'FAILURE'] as const;

/** Run all scenarios of a run, or one of them. @returns by scenario: what became of its checks */
export async function conform(
	{ suite, options }: Run,
	server: URL,
): Promise<Record<string, Outcome>> {
	const directory = await mkdtemp(join(tmpdir(), 'conformance-'));
	try {
		const args = [
			join(ROOT, 'node_modules', suite, 'dist/index.js'),
			'server',
			`--url=${new URL('/mcp', server)}`,
			`--output-dir=${directory}`,
			...options,
		];
		// It ends with 1 where a check has failed.
		const { stdout } = await promisify(execFile)(process.execPath, args, {
			timeout: RUN_LIMIT_MS,
			maxBuffer: 64 * 1024 * 1024,
		}).catch((error: { stdout: string }) => error);
		const results = await readdir(directory);
		const outcomes: Record<string, Outcome> = {};
		for (const [, scenario = ''] of stdout.matchAll(/^=== Running scenario: (.*) ===$/gm)) {
			const prefix = `server-${scenario}-2`;
			const folder = results.find((name) => name.startsWith(prefix)) ?? 'none';
			// A scenario that throws writes nothing.
			const json = await readFile(join(directory, folder, 'checks.json'), 'utf8').catch(() => '');
			outcomes[scenario] = json
				? outcomeOf(JSON.parse(json))
				: { passed: 0, unmet: { 'the scenario itself': 'FAILURE' } };
		}
		if (Object.keys(outcomes).length === 0) throw new Error(`The suite ran nothing:\n${stdout}`);
		return outcomes;
	} finally {
		await rm(directory, { recursive: true });
	}
}

function outcomeOf(checks: readonly { id: string; status: Status }[]): Outcome {
	const worst = new Map<string, Status>();
	for (const { id, status } of checks) {
		const before = worst.get(id) ?? 'INFO';
		if (SEVERITY.indexOf(status) >= SEVERITY.indexOf(before)) worst.set(id, status);
	}
	const unmet: Unmet = {};
	for (const [id, status] of worst) {
		if (status !== 'SUCCESS' && status !== 'INFO') unmet[id] = status;
	}
	return { passed: checks.filter(({ status }) => status === 'SUCCESS').length, unmet };
}
