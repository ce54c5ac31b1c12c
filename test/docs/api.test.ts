import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ROOT } from '../../docs/.vitepress/quotes.ts';

function pagesIn(directory: string): Record<string, string> {
	const paths = globSync('**/*.md', { cwd: directory }).toSorted();
	return Object.fromEntries(
		paths.map((path) => [path, readFileSync(join(directory, path), 'utf8')]),
	);
}

it('docs/api is what `npm run docs:write` makes of the source', () => {
	const directory = mkdtempSync(join(tmpdir(), 'api-'));
	onTestFinished(() => rmSync(directory, { recursive: true }));
	execFileSync(process.execPath, ['node_modules/typedoc/bin/typedoc', '--out', directory], {
		cwd: ROOT,
		stdio: 'pipe',
	});
	expect(pagesIn(directory)).toEqual(pagesIn(join(ROOT, 'docs/api')));
});
