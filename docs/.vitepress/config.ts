/** The documentation as a site: `npm run docs`. */
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { defineConfig } from 'vitepress';
import { llmsFullTxt } from './llms.ts';
import { groups, slugOf } from './pages.ts';
import { ROOT } from './quotes.ts';

const DOCS = join(ROOT, 'docs');

interface Manifest {
	name: string;
	description: string;
	repository?: { url: string; directory?: string };
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/** Where a file of the repository is shown; `undefined` where package.json names no repository. */
function shownAt(path: string): string | undefined {
	const { url, directory = '' } = manifest.repository ?? {};
	const site = url?.replace(/^git\+/, '').replace(/\.git$/, '');
	return site && `${site}/blob/main/${posix.join(directory, path)}`;
}

/**
 * Links are written for the repository. On the site, a README is the first page of its folder, SECURITY.md is a page, and
 * other files outside of `docs` are shown by the repository.
 * @param page its path under `docs`
 */
function linkOnSite(link: string, page: string): string | undefined {
	if (/^[a-z]+:|^#/.test(link)) return link;
	const [path = '', anchor] = link.split('#');
	const hash = anchor === undefined ? '' : `#${anchor}`;
	// SECURITY.md, which is included, is written for the root.
	const base = page === 'security.md' && !path.startsWith('..') ? '.' : join('docs', dirname(page));
	const file = posix.normalize(posix.join(base, path));
	if (file === 'SECURITY.md') return `/security.md${hash}`;
	if (file.startsWith('docs/') && file.endsWith('.md')) {
		return `/${file.slice('docs/'.length).replace(/README\.md$/, 'index.md')}${hash}`;
	}
	return shownAt(file);
}

export default defineConfig({
	title: 'Sessions for tmcp',
	description: manifest.description,
	srcDir: DOCS,
	outDir: join(ROOT, 'docs/.vitepress/dist'),
	rewrites: (page) => page.replace(/(^|\/)README\.md$/, '$1index.md'),
	cleanUrls: true,
	// Agents and tools read the pages as they are written: see `llms.txt`.
	buildEnd({ outDir }) {
		for (const page of globSync('**/*.md', { cwd: DOCS, exclude: ['public/**', '.vitepress/**'] }))
			cpSync(join(DOCS, page), join(outDir, page));
		cpSync(join(ROOT, 'SECURITY.md'), join(outDir, 'security.md'));
		writeFileSync(join(outDir, 'llms-full.txt'), llmsFullTxt());
	},
	markdown: {
		anchor: { slugify: slugOf },
		config(markdown) {
			markdown.core.ruler.push('links-of-repository', (state) => {
				const { relativePath } = state.env;
				for (const token of state.tokens.flatMap(({ children }) => children ?? [])) {
					const link = token.attrGet('href');
					if (link === null) continue;
					const onSite = linkOnSite(link, relativePath.replace(/index\.md$/, 'README.md'));
					// Without an address it is text: an anchor that leads nowhere.
					token.attrSet('href', onSite ?? '#');
				}
			});
		},
	},
	themeConfig: {
		search: { provider: 'local' },
		outline: { level: [2, 3] },
		nav: [
			{ text: 'Start', link: '/start' },
			{ text: 'API', link: '/api/' },
			{ text: 'Troubleshooting', link: '/troubleshooting' },
		],
		sidebar: groups().map(({ title, pages }) => ({
			text: title,
			items: pages.map(({ name, title: text }) => ({
				text,
				link: `/${name.replace(/README$/, '')}`,
			})),
		})),
	},
});
