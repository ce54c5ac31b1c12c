/** `npm run docs:write`: brings up to date what pages quote. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pagesInRepository } from './pages.ts';
import { ROOT, withQuotes } from './quotes.ts';

for (const path of pagesInRepository()) {
	const file = join(ROOT, path);
	const page = readFileSync(file, 'utf8');
	const written = withQuotes(page);
	if (written === page) continue;
	writeFileSync(file, written);
	console.log(path);
}
