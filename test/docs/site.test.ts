import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ROOT } from '../../docs/.vitepress/quotes.ts';

it('the site is built, with its pages, its search and what language models read', () => {
	const directory = mkdtempSync(join(tmpdir(), 'site-'));
	onTestFinished(() => rmSync(directory, { recursive: true }));
	const cli = 'node_modules/vitepress/bin/vitepress.js';
	const args = [cli, 'build', 'docs', '--outDir', directory, '--no-minify'];
	execFileSync(process.execPath, args, { cwd: ROOT, stdio: 'pipe' });
	const read = (path: string) => readFileSync(join(directory, path), 'utf8');
	expect(read('homes.html')).toContain('<h1 id="many-homes"');
	const [index = 'none'] = globSync('assets/**/@localSearchIndexroot.*.js', { cwd: directory });
	expect(read(index)).toContain('Many homes');
	expect(read('llms-full.txt')).toContain('# Many homes');
}, 180_000);
