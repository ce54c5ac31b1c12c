/** `npm run docs:write`: brings up to date what pages quote, their tables, their pictures and the list of them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DIAGRAMS } from './diagrams.ts';
import { llmsTxt } from './llms.ts';
import { pagesInRepository } from './pages.ts';
import { ROOT, withQuotes } from './quotes.ts';
import { withTables } from './tables.ts';

function write(path: string, text: string): void {
	const file = join(ROOT, path);
	if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
	mkdirSync(dirname(file), { recursive: true });
	writeFileSync(file, text);
	console.log(path);
}

for (const path of pagesInRepository())
	write(path, withTables(withQuotes(readFileSync(join(ROOT, path), 'utf8'))));
for (const [name, draw] of Object.entries(DIAGRAMS)) write(`docs/images/${name}`, draw());
write('docs/public/llms.txt', llmsTxt());
