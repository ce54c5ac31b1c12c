/** `npm run size`: measure bundles, compare them with their budgets, and write what they weigh into docs/cost.md. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../../..');

/** One of the bundles in `.size-limit.js`, minified and gzipped. */
export interface Bundle {
	name: string;
	/** In bytes. */
	size: number;
	/** Whether it is within its budget; `undefined` where it has none. */
	passed?: boolean;
}

const WITHOUT = 'tmcp and its transport';
const WITH = 'the first Worker';

export function measureBundles(): Bundle[] {
	const sizeLimit = join(ROOT, 'node_modules/size-limit/bin.js');
	const { stdout, stderr } = spawnSync(process.execPath, [sizeLimit, '--json'], {
		cwd: ROOT,
		encoding: 'utf8',
	});
	if (!stdout.startsWith('[')) throw new Error(`size-limit has not measured: ${stdout}${stderr}`);
	const bundles: Bundle[] = JSON.parse(stdout);
	return bundles;
}

/** What the first Worker grows by, in bytes. */
export function growth(bundles: readonly Bundle[]): number {
	const of = (wanted: string) => bundles.find(({ name }) => name === wanted)?.size ?? NaN;
	return of(WITH) - of(WITHOUT);
}

export const inKB = (bytes: number) => `${Math.round(bytes / 1_000)} kB`;

export function sizesTable(bundles: readonly Bundle[]): string {
	const row = (what: string, bytes: number) => `| ${what} | ${inKB(bytes)} |`;
	return [
		'| minified and gzipped | |',
		'|---|---:|',
		row('what the first Worker grows by, beside tmcp and its transport', growth(bundles)),
		...bundles
			.filter(({ name }) => name !== WITH && name !== WITHOUT)
			.map(({ name, size }) => row(name, size)),
	].join('\n');
}

const MARKS = ['<!-- npm run size -->\n', '\n<!-- end -->'] as const;

/** Where the table is. */
export const PAGE = join(ROOT, 'docs/cost.md');

/** The page with its table made anew. */
export function withSizes(page: string, table: string): string {
	const [before, rest = ''] = page.split(MARKS[0]);
	const [, ...after] = rest.split(MARKS[1]);
	return before + MARKS[0] + table + MARKS[1] + after.join(MARKS[1]);
}

if (process.argv[1] === import.meta.filename) {
	const bundles = measureBundles();
	writeFileSync(PAGE, withSizes(readFileSync(PAGE, 'utf8'), sizesTable(bundles)));
	for (const { name, size, passed } of bundles) {
		console.log(`${name}: ${size} bytes${passed === false ? ', over its budget' : ''}`);
	}
	console.log(`The first Worker grows by ${growth(bundles)} bytes.`);
	process.exitCode = bundles.some(({ passed }) => passed === false) ? 1 : 0;
}
