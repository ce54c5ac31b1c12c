/**
 * `npm run dates`: the end-to-end tests at each compatibility date that is supported, in turn.
 * `npm run dates -- 2026-04-07 nodejs_compat …`: at that date, with those flags.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
	type Compatibility,
	environmentFor,
} from '../../examples/quickstart/demo/compatibility.ts';
import { ROOT } from '../../examples/quickstart/demo/dev-server.ts';
import { PLATFORMS } from './platforms.ts';

const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');

/** What vitest's JSON reporter writes, as far as it is read here. */
interface Results {
	success: boolean;
	numPassedTests: number;
	numFailedTests: number;
}

/** @returns `undefined` where vitest wrote nothing */
function run(platform: Compatibility): Results | undefined {
	const directory = mkdtempSync(join(tmpdir(), 'dates-'));
	const file = join(directory, 'results.json');
	const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
	try {
		spawnSync(process.execPath, [VITEST, 'run', '--project=node', ...reporters, 'test/e2e'], {
			cwd: ROOT,
			stdio: 'inherit',
			env: { ...process.env, ...environmentFor(platform) },
		});
		return JSON.parse(readFileSync(file, 'utf8'));
	} catch (error) {
		console.error(error);
		return undefined;
	} finally {
		rmSync(directory, { recursive: true });
	}
}

const [date, ...flags] = process.argv.slice(2);
const rows: string[] = [];
for (const platform of date === undefined ? PLATFORMS : [{ date, flags }]) {
	const results = run(platform);
	if (!results?.success) process.exitCode = 1;
	const { numPassedTests = 0, numFailedTests = 0 } = results ?? {};
	const counts = results ? `${numPassedTests} passed, ${numFailedTests} failed` : 'did not run';
	rows.push(`${platform.date} | ${platform.flags.join(' ') || 'none'} | ${counts}`);
	console.log(rows.at(-1));
}
console.log(['', 'date | flags | result', ...rows].join('\n'));
