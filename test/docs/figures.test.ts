import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Measured } from '../../bench/benchmark.ts';
import { currentTable, PAGE, withTable } from '../../bench/model.ts';
import { SUBJECTS } from '../../bench/subjects.ts';
import { timesTable } from '../../bench/table.ts';
import { ROOT } from '../../docs/.vitepress/quotes.ts';

it('docs/cost.md shows what `npm run bench` has measured', () => {
	const results: { measured: Measured[] } = JSON.parse(
		readFileSync(join(ROOT, 'bench/results.json'), 'utf8'),
	);
	const page = readFileSync(join(ROOT, 'docs/cost.md'), 'utf8');
	const ofOneSize = results.measured.filter(({ n }) => n === 5_000);
	expect(page).toContain(timesTable(ofOneSize, SUBJECTS));
});

it('docs/scaling.md shows what `npm run model` computes', () => {
	const page = readFileSync(PAGE, 'utf8');
	expect(withTable(page, currentTable())).toBe(page);
});
