/** Tables in pages that are computed: `<!-- generated: NAME -->` … `<!-- end -->`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { groups } from './pages.ts';
import { ROOT } from './quotes.ts';

const GENERATED = /(<!-- generated: (\S+) -->\n)[\s\S]*?(?=<!-- end -->)/g;

/** All error codes, as `src/errors.ts` explains them. */
function codes(): string {
	const source = readFileSync(join(ROOT, 'src/errors.ts'), 'utf8');
	const hasPage = existsSync(join(ROOT, 'docs/errors.md'));
	const lines = [...source.matchAll(/\/\*\* (.*) \*\/\n\t'([A-Z_]+)',/g)].map(
		([, meaning = '', code = '']) => {
			const name = hasPage ? `[\`${code}\`](errors.md#${code.toLowerCase()})` : `\`${code}\``;
			return `| ${name} | ${meaning} |`;
		},
	);
	return ['| code | |', '|---|---|', ...lines].join('\n');
}

/** All pages of the documentation. */
function contents(): string {
	return groups()
		.map(({ title, pages }) => {
			const lines = pages.map((page) => `- [${page.title}](${page.name}.md): ${page.summary}`);
			return `## ${title}\n\n${lines.join('\n')}\n`;
		})
		.join('\n');
}

const TABLES: Readonly<Record<string, () => string>> = { codes, contents };

/** The page with its tables computed anew. */
export function withTables(page: string): string {
	return page.replaceAll(GENERATED, (_, mark: string, name: string) => {
		const table = TABLES[name];
		if (!table) throw new Error(`There is no table ${name}.`);
		return `${mark}${table()}\n`;
	});
}
