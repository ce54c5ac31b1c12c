/** The official conformance suites, against the server behind the composition, and beside it with tmcp's in-memory managers. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DevServer, ROOT, startDevServer } from '../../quickstart/demo/dev-server.ts';
import { type InMemoryServer, startInMemoryServer } from './in-memory.ts';
import { KNOWN_FAILURES } from './known-failures.ts';
import { conform, type Outcome, RUN_LIMIT_MS, type RunName, RUNS, type Unmet } from './suite.ts';

/** How many scenarios there are, and how many checks pass. docs/platforms.md says so too. */
const SCENARIOS = { '0.1': 32, '0.2 of 2025-11-25': 33, '0.2 of 2026-07-28': 50 };
const PASSED = { '0.1': 44, '0.2 of 2025-11-25': 81, '0.2 of 2026-07-28': 161 };
const RUN_NAMES = ['0.1', '0.2 of 2025-11-25', '0.2 of 2026-07-28'] as const satisfies RunName[];

let withObject: DevServer;
let withKV: DevServer;
let inMemory: InMemoryServer;

beforeAll(async () => {
	const start = (name: string) => startDevServer({ configs: [`examples/everything/${name}`] });
	[withObject, withKV, inMemory] = await Promise.all([
		start('wrangler.jsonc'),
		start('kv.jsonc'),
		startInMemoryServer(),
	]);
});
afterAll(() => Promise.all([withObject?.stop(), withKV?.stop(), inMemory?.stop()]));

/** What is not met, by scenario. */
function unmetIn(outcomes: Record<string, Outcome>): Record<string, Unmet> {
	const unmet = Object.entries(outcomes).map(([scenario, outcome]) => [scenario, outcome.unmet]);
	return Object.fromEntries(unmet.filter(([, checks]) => Object.keys(checks ?? {}).length > 0));
}

const passedIn = (outcomes: Record<string, Outcome>) =>
	Object.values(outcomes).reduce((sum, { passed }) => sum + passed, 0);

/** What is known not to be met, by scenario. */
function knownOf(run: RunName, inMemoryIs: Record<string, Outcome>): Record<string, Unmet> {
	const known = KNOWN_FAILURES.filter((failure) => failure.run === run);
	const each = known.flatMap(({ scenarios, unmet }) =>
		scenarios.map((scenario) => [scenario, unmet ?? inMemoryIs[scenario]?.unmet ?? {}]),
	);
	return Object.fromEntries(each);
}

test.each(RUN_NAMES)(
	'%s: with info in the object and in KV, what is on the list fails, with in-memory managers too, and nothing else',
	async (run) => {
		const [object, kv, memory] = await Promise.all([
			conform(RUNS[run], withObject.url),
			conform(RUNS[run], withKV.url),
			conform(RUNS[run], inMemory.url),
		]);
		const known = knownOf(run, memory);
		expect(unmetIn(memory)).toMatchObject(known);
		expect(unmetIn(object)).toEqual(known);
		expect(unmetIn(kv)).toEqual(known);
		expect(Object.keys(object)).toHaveLength(SCENARIOS[run]);
		expect(passedIn(object)).toBe(PASSED[run]);
		expect(passedIn(kv)).toBe(PASSED[run]);
	},
	RUN_LIMIT_MS,
);

test('docs/platforms.md says how many checks pass', async () => {
	const page = await readFile(join(ROOT, 'docs/platforms.md'), 'utf8');
	const [, conformance = ''] = page.split('## Conformance');
	expect(conformance).toContain(`in 0.1.16 (${PASSED['0.1']})`);
	expect(conformance).toContain(`in 0.2.0-alpha.12 (${PASSED['0.2 of 2025-11-25']})`);
	expect(conformance).toContain(`of 2026-07-28 ${PASSED['0.2 of 2026-07-28']} pass`);
});
