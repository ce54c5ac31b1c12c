import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../../docs/.vitepress/quotes.ts';

const page = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');

it('the tree of the source names no folder that is not there', () => {
	const [, tree = ''] = /```text\n(src\/[\s\S]*?)```/.exec(page) ?? [];
	const named = [...tree.matchAll(/(?<=\s)(\w+)\/(?=\s)/g)].map(([, name]) => name);
	const folders = globSync('src/{*,*/*}/', { cwd: ROOT }).map((path) => basename(path));
	expect(named).not.toEqual([]);
	expect(folders).toEqual(expect.arrayContaining(named));
});

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
