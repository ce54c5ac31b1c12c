import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import type { Measured } from '../../bench/benchmark.ts';
import { currentTable, PAGE, withTable } from '../../bench/model.ts';
import { SUBJECTS } from '../../bench/subjects.ts';
import { timesTable } from '../../bench/table.ts';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(resolve(root, 'README.md'), 'utf8');
const quotations = [...readme.matchAll(/<!-- file: (\S+) -->\n```\w+\n([\s\S]*?)```/g)];

/** A file, or the part of it that is named after a `#`: what is between `// #region` and `// #endregion`. */
function read(name: string): string {
	const [path = '', region] = name.split('#');
	const text = readFileSync(resolve(root, path), 'utf8');
	if (region === undefined) return text;
	const [, part = ''] = text.split(new RegExp(`^// #(?:end)?region ${region}\\n`, 'm'));
	return part;
}

it.each(quotations.map(([, file = '', code = '']) => ({ file, code })))(
	'the README quotes $file as it is',
	({ file, code }) => {
		expect(code).toBe(read(file));
	},
);

it('the README, which npm shows without the repository, links to nothing in it', () => {
	const links = [...readme.matchAll(/(?<!!\[[^\]]*)\]\(([^)]*)\)/g)].map(([, link = '']) => link);
	expect(links).not.toEqual([]);
	for (const link of links) expect(link).toMatch(/^https:|^#/);
});

it('the pictures that the README shows are in the repository, small, and say in words what is on them', () => {
	const pictures = [...readme.matchAll(/!\[([^\]]*)\]\(([^)]*)\)/g)];
	expect(pictures.map(([, , file]) => file)).toEqual([
		'docs/images/inspector.png',
		'docs/images/playground.png',
	]);
	for (const [, words = '', file = ''] of pictures) {
		expect(words.length).toBeGreaterThan(40);
		expect(statSync(resolve(root, file)).size).toBeLessThan(200_000);
	}
});

it('the README quotes every file of the unit-test example', () => {
	expect(quotations.map(([, file]) => file)).toEqual(
		expect.arrayContaining([
			'examples/unit-test/wrangler.jsonc',
			'examples/unit-test/worker.ts',
			'examples/unit-test/vitest.config.ts',
			'examples/unit-test/worker.test.ts',
		]),
	);
});

it('the README shows what `npm run bench` has measured', () => {
	const results: { measured: Measured[] } = JSON.parse(
		readFileSync(resolve(root, 'bench/results.json'), 'utf8'),
	);
	expect(readme).toContain(
		timesTable(
			results.measured.filter(({ n }) => n === 5_000),
			SUBJECTS,
		),
	);
});

it('docs/scaling.md shows what `npm run model` computes', () => {
	const page = readFileSync(PAGE, 'utf8');
	expect(withTable(page, currentTable())).toBe(page);
});
