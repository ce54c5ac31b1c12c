import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { ROOT } from './project.ts';
import {
	type Bundle,
	growth,
	inKB,
	measureBundles,
	PAGE,
	sizesTable,
	withSizes,
} from './size/sizes.ts';

/** What a Worker grows by that has tmcp and its transport already, in bytes. Raise it on purpose only. */
const MAX_GROWTH_BYTES = 49_200;

let bundles: Bundle[];
beforeAll(() => {
	bundles = measureBundles();
});

it('each bundle is within its budget', () => {
	expect(bundles.length).toBeGreaterThan(3);
	expect(bundles.filter(({ passed }) => passed === false)).toEqual([]);
});

it('the first Worker grows by no more than its budget', () => {
	expect(growth(bundles)).toBeGreaterThan(0);
	expect(growth(bundles)).toBeLessThan(MAX_GROWTH_BYTES);
});

it('docs/cost.md shows what `npm run size` measures', () => {
	const page = readFileSync(PAGE, 'utf8');
	expect(page).toContain('<!-- npm run size -->');
	expect(withSizes(page, sizesTable(bundles))).toBe(page);
});

it('the README says what the first Worker grows by', () => {
	const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
	expect(readme).toContain(
		`| what a Worker grows by, minified and gzipped | ${inKB(growth(bundles))} |`,
	);
});
