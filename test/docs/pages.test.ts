import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseJsonc } from '../../examples/quickstart/demo/compatibility.ts';
import { DIAGRAMS } from '../../docs/.vitepress/diagrams.ts';
import { llmsTxt } from '../../docs/.vitepress/llms.ts';
import { linksOf, problemOf } from '../../docs/.vitepress/links.ts';
import { groups, pagesInRepository } from '../../docs/.vitepress/pages.ts';
import { ROOT } from '../../docs/.vitepress/quotes.ts';
import { withTables } from '../../docs/.vitepress/tables.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const pages = pagesInRepository();
const ofTypedoc = globSync('docs/api/**/*.md', { cwd: ROOT });

describe.each(pages)('%s', (page) => {
	const text = read(page);

	it('links to files and headings that exist', () => {
		const broken = linksOf(text).flatMap((link) => {
			const problem = problemOf(link, page);
			return problem === undefined ? [] : [`${link.to}: ${problem}`];
		});
		expect(broken).toEqual([]);
	});

	it('shows no TypeScript that is not quoted from a file', () => {
		const unquoted = text.matchAll(/(?<!<!-- file: \S+ -->\n+)^[ \t]*```tsx?\n[\s\S]*?```/gm);
		expect([...unquoted].map(([code]) => code)).toEqual([]);
	});

	it('shows JSON that can be read', () => {
		for (const [, code = ''] of text.matchAll(/^[ \t]*```jsonc?\n([\s\S]*?)```/gm)) {
			const json = code.trimStart().startsWith('{') ? code : `{ ${code} }`;
			expect(() => parseJsonc(json), code).not.toThrow();
		}
	});

	it('names only scripts that package.json has', () => {
		const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'));
		for (const [, name = ''] of text.matchAll(/npm run ([\w-]+(?::[\w-]+)*)/g))
			expect(Object.keys(scripts)).toContain(name);
	});

	it('has tables that are computed as they would be today', () => {
		expect(withTables(text)).toBe(text);
	});
});

it('the pages of typedoc link to files and headings that exist', () => {
	const broken = ofTypedoc.flatMap((page) =>
		linksOf(read(page)).flatMap((link) => {
			const problem = problemOf(link, page);
			return problem === undefined ? [] : [`${page}: ${link.to}: ${problem}`];
		}),
	);
	expect(broken).toEqual([]);
});

it('the sidebar names each page once, with a title and a first sentence', () => {
	const named = groups().flatMap((group) => group.pages);
	const found = globSync(['*.md', 'upstream/*.md', 'api/README.md'], { cwd: join(ROOT, 'docs') });
	expect(named.map(({ name }) => `${name}.md`).toSorted()).toEqual(
		found.filter((path) => path !== 'README.md').toSorted(),
	);
	for (const { name, title, summary } of named) {
		expect(title, name).not.toBe('');
		expect(summary, name).toMatch(/^\S.{10,240}[.?]$/s);
	}
});

it('llms.txt lists the pages that there are', () => {
	expect(read('docs/public/llms.txt')).toBe(llmsTxt());
});

it.each(Object.entries(DIAGRAMS))('docs/images/%s is drawn as it would be today', (name, draw) => {
	expect(read(`docs/images/${name}`)).toBe(draw());
});
