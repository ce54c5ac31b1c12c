/** Which pages there are, and how they are told apart. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './quotes.ts';

/** The pages by what they are for. One that is not named here is found all the same, and comes last. */
const GROUPS: readonly { title: string; pages: readonly string[] }[] = [
	{ title: 'Begin', pages: ['start', 'owners', 'production', 'testing', 'migration'] },
	{
		title: 'Guides',
		pages: [
			'session-data',
			'other-workers',
			'asking',
			'settings',
			'rate-limits',
			'homes',
			'observability',
			'inspector',
			'platforms',
		],
	},
	{
		title: 'How it works',
		pages: ['architecture', 'delivery', 'security', 'limits', 'cost', 'scaling'],
	},
	{
		title: 'Reference',
		pages: ['reference', 'advanced', 'api/README', 'errors', 'troubleshooting'],
	},
];

const OTHERS = 'More';

export interface Page {
	/** Its path under `docs`, without `.md`. */
	name: string;
	title: string;
	/** Its first sentence. */
	summary: string;
}

export interface Group {
	title: string;
	pages: Page[];
}

/** All Markdown of the repository that people read, by its path from the root; what typedoc writes is not among it. */
export function pagesInRepository(): string[] {
	return ['*.md', 'docs/*.md', 'docs/upstream/*.md', 'examples/*/README.md']
		.flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
		.toSorted();
}

/** What the sidebar names: every page of `docs` but its first one and those of typedoc below the first of theirs. */
export function groups(): Group[] {
	const found = globSync(['*.md', 'upstream/*.md', 'api/README.md'], { cwd: join(ROOT, 'docs') })
		.map((path) => path.replace(/\.md$/, ''))
		.filter((name) => name !== 'README');
	const named = new Set(GROUPS.flatMap(({ pages }) => pages));
	const others = { title: OTHERS, pages: found.filter((name) => !named.has(name)).toSorted() };
	return [...GROUPS, others]
		.map(({ title, pages }) => ({
			title,
			pages: pages.filter((name) => found.includes(name)).map(pageOf),
		}))
		.filter(({ pages }) => pages.length > 0);
}

function pageOf(name: string): Page {
	const text = readFileSync(join(ROOT, 'docs', `${name}.md`), 'utf8');
	const [, title = name] = /^# (.*)$/m.exec(text) ?? [];
	return { name, title: plain(title), summary: summaryOf(text) };
}

/** The first sentence of the first paragraph. */
function summaryOf(text: string): string {
	const paragraph = text
		.replaceAll(/<!--[\s\S]*?-->|```[\s\S]*?```/g, '')
		.split('\n\n')
		.find((block) => /^[A-Z`*[]/.test(block.trim()));
	const [sentence = ''] = /^.*?(?:[.?](?=\s|$)|:$)/s.exec(paragraph?.trim() ?? '') ?? [];
	return plain(sentence).replace(/:$/, '.');
}

/** Markdown as plain text. */
export function plain(markdown: string): string {
	return markdown
		.replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
		.replaceAll(/[`*]/g, '')
		.trim();
}

/** The anchor of a heading, as GitHub makes it. */
export function slugOf(heading: string): string {
	return plain(heading)
		.toLowerCase()
		.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
		.replaceAll(/\s/g, '-');
}
