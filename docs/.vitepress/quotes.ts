/** Blocks of code in pages, each quoted from a file that is type-checked or run. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** `<!-- file: PATH#REGION -->` and the block after it. */
const QUOTED = /(<!-- file: (\S+) -->\n```\w+\n)([\s\S]*?)(?=```)/g;

/** A file, or the part of it that is named after a `#`: what is between `// #region` and `// #endregion`, not indented. */
function readSource(name: string): string {
	const [path = '', region] = name.split('#');
	const text = readFileSync(join(ROOT, path), 'utf8');
	if (region === undefined) return text;
	const [, part] = text.split(new RegExp(`^\\t*// #(?:end)?region ${region}\\n`, 'm'));
	if (part === undefined) throw new Error(`${path} has no region ${region}.`);
	const [indentation = ''] = /^\t*/.exec(part) ?? [];
	return part.replaceAll(new RegExp(`^${indentation}`, 'gm'), '');
}

/** The files that a page quotes. */
export function quotedFiles(page: string): string[] {
	return [...page.matchAll(QUOTED)].map(([, , file = '']) => file);
}

/** The page with each quotation as its file has it today. */
export function withQuotes(page: string): string {
	return page.replaceAll(QUOTED, (_, mark: string, file: string) => mark + readSource(file));
}
