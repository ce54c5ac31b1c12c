import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { pagesInRepository } from '../../docs/.vitepress/pages.ts';
import { quotedFiles, ROOT, withQuotes } from '../../docs/.vitepress/quotes.ts';

const read = (page: string) => readFileSync(join(ROOT, page), 'utf8');

it.each(pagesInRepository())('%s quotes its files as they are', (page) => {
	expect(withQuotes(read(page))).toBe(read(page));
});

it('README and the page on testing quote every file of the unit-test example', () => {
	expect([...quotedFiles(read('README.md')), ...quotedFiles(read('docs/testing.md'))]).toEqual(
		expect.arrayContaining([
			'examples/unit-test/wrangler.jsonc',
			'examples/unit-test/worker.ts',
			'examples/unit-test/vitest.config.ts',
			'examples/unit-test/worker.test.ts',
		]),
	);
});
