import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { currentTable, PAGE, withTable } from '../../bench/model.ts';

it('docs/scaling.md shows what `npm run model` computes', () => {
	const page = readFileSync(PAGE, 'utf8');
	expect(withTable(page, currentTable())).toBe(page);
});
