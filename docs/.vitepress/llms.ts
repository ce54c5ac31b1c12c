/** What language models are given to read (https://llmstxt.org): a list of the pages, and all of them as one text. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { groups } from './pages.ts';
import { ROOT } from './quotes.ts';

function manifest(): { name: string; description: string } {
	return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
}

/** `llms.txt`. */
export function llmsTxt(): string {
	const { name, description } = manifest();
	const sections = groups().map(({ title, pages }) => {
		const lines = pages.map((page) => `- [${page.title}](/${page.name}.md): ${page.summary}`);
		return `## ${title}\n\n${lines.join('\n')}\n`;
	});
	return `# ${name}\n\n> ${description}\n\nAll pages in one: [llms-full.txt](/llms-full.txt)\n\n${sections.join('\n')}`;
}

/** `llms-full.txt`. */
export function llmsFullTxt(): string {
	const pages = groups().flatMap((group) => group.pages);
	const path = (name: string) => (name === 'security' ? 'SECURITY.md' : `docs/${name}.md`);
	return pages.map(({ name }) => readFileSync(join(ROOT, path(name)), 'utf8')).join('\n');
}
