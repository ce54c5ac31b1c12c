/** `npm run docs:write`: brings up to date what pages quote, their tables and their pictures. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DIAGRAMS } from './diagrams.ts';
import { pagesInRepository } from './pages.ts';
import { ROOT, withQuotes } from './quotes.ts';
import { withTables } from './tables.ts';

function write(path: string, text: string): void {
	const file = join(ROOT, path);
	writeFileSync(file, text);
	console.log(path);
}

for (const path of pagesInRepository()) {
	const page = readFileSync(join(ROOT, path), 'utf8');
	const written = withTables(withQuotes(page));
	if (written !== page) write(path, written);
}
for (const [name, draw] of Object.entries(DIAGRAMS)) write(`docs/images/${name}`, draw());
