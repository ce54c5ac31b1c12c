/** The links of pages, and where they lead: `npm run docs:links` lists those that leave the repository. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pagesInRepository, slugOf } from './pages.ts';
import { ROOT } from './quotes.ts';

export interface Link {
	/** As it is written. */
	to: string;
	isExternal: boolean;
}

/** Of code, which has no links, only the line ends are left. */
function withoutCode(page: string): string {
	return page.replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, (code) => code.replaceAll(/[^\n]/g, ''));
}

export function linksOf(page: string): Link[] {
	return [...withoutCode(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to = '']) => ({
		to,
		isExternal: /^[a-z]+:/.test(to),
	}));
}

/** The anchors that the headings of a page have; a second heading of the same name has a number. */
export function anchorsOf(page: string): Set<string> {
	const anchors = new Set<string>();
	const prose = page.replaceAll(/^```[\s\S]*?^```/gm, '');
	for (const [, heading = ''] of prose.matchAll(/^#{1,6} (.*)$/gm)) {
		const slug = slugOf(heading);
		let anchor = slug;
		for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`;
		anchors.add(anchor);
	}
	// typedoc names the rows of its tables.
	for (const [, id = ''] of prose.matchAll(/<a id="([^"]+)">/g)) anchors.add(id);
	return anchors;
}

/**
 * What is wrong with a link of a page, or `undefined`.
 * @param path of the page, from the root of the repository
 */
export function problemOf({ to, isExternal }: Link, path: string): string | undefined {
	if (isExternal) return to.startsWith('https://') ? undefined : 'not https';
	const [file = '', anchor] = to.split('#');
	const target = file === '' ? join(ROOT, path) : join(ROOT, dirname(path), file);
	if (relative(ROOT, target).startsWith('..')) return 'outside of the repository';
	if (!existsSync(target)) return 'no such file';
	if (anchor === undefined) return undefined;
	if (statSync(target).isDirectory()) return 'a folder has no anchors';
	return anchorsOf(readFileSync(target, 'utf8')).has(anchor) ? undefined : 'no such heading';
}

if (import.meta.main) {
	const external = pagesInRepository()
		.flatMap((path) => linksOf(readFileSync(join(ROOT, path), 'utf8')))
		.filter((link) => link.isExternal)
		.map(({ to }) => to);
	for (const link of [...new Set(external)].toSorted()) console.log(link);
}
