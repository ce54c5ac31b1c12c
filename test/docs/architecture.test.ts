import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../docs/.vitepress/quotes.ts';

const folders = globSync('src/{*,*/*}/', { cwd: ROOT }).map((path) => basename(path));
const entries = globSync('src/*.ts', { cwd: ROOT }).map((path) => basename(path));

describe.each(['docs/architecture.md', 'CONTRIBUTING.md'])(
	'the tree of the source in %s',
	(page) => {
		const [, tree = ''] =
			/```(?:text)?\n(src\/[\s\S]*?)```/.exec(readFileSync(join(ROOT, page), 'utf8')) ?? [];

		it('names each folder that there is, and no other', () => {
			const named = [...tree.matchAll(/(?<=\s)(\w+)\/(?=\s)/g)].map(([, name]) => name);
			expect([...new Set(named)].toSorted()).toEqual([...new Set(folders)].toSorted());
		});

		it('names each file beside them', () => {
			const named = [...tree.matchAll(/(?<=\s)[\w-]+\.ts(?=\s)/g)].map(([name]) => name);
			expect(named).toEqual(expect.arrayContaining(entries));
		});
	},
);

it('what both sides agree on imports neither, and of each other they import types at most', () => {
	const imports = (side: string, from: string) =>
		globSync(`src/${side}/**/*.ts`, { cwd: ROOT }).flatMap((path) =>
			[
				...readFileSync(join(ROOT, path), 'utf8').matchAll(
					/^(?:im|ex)port [^;]*? from '([^']*)';$/gm,
				),
			]
				.filter(([, specifier = '']) => specifier.includes(`../${from}/`))
				.map(([statement]) => `${path}: ${statement}`),
		);
	expect([...imports('wire', 'object'), ...imports('wire', 'worker')]).toEqual([]);
	expect(imports('object', 'worker')).toEqual([]);
	for (const statement of imports('worker', 'object')) expect(statement).toMatch(/: import type /);
});
