import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Size budget: what a user's Worker grows by, without valibot, minified names aside. Raise it on purpose only. */
const MAX_GZIPPED_BYTES = 52_500;

describe('the package that npm would publish', () => {
	const root = resolve(import.meta.dirname, '../..');
	let folder: string;

	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), 'package-'));
		execFileSync('npm', ['pack', '--pack-destination', folder], { cwd: root, stdio: 'pipe' });
		const [tarball = ''] = readdirSync(folder);
		execFileSync('tar', ['-xzf', tarball], { cwd: folder });
	});

	afterAll(() => rmSync(folder, { recursive: true }));

	const read = (path: string) => readFileSync(join(folder, 'package', path), 'utf8');

	it('holds the built module with types and sources, the licence and the README, and nothing else', () => {
		const packed = readdirSync(join(folder, 'package'));
		expect(packed.toSorted()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json', 'src']);
		expect(readdirSync(join(folder, 'package/dist')).toSorted()).toEqual([
			'index.d.ts',
			'index.js',
			'index.js.map',
		]);
	});

	it('exports the names of the existing package', () => {
		const exported = /export \{([^}]*)\};?\s*(\/\/.*)?$/
			.exec(read('dist/index.js'))?.[1]
			?.split(',')
			.map((name) => name.trim());
		expect(exported).toEqual(
			expect.arrayContaining([
				'SyncLayer',
				'DurableObjectStreamSessionManager',
				'KVInfoSessionManager',
			]),
		);
	});

	it('imports nothing but the platform and its dependencies', () => {
		const imports = [...read('dist/index.js').matchAll(/^import .* from "([^"]+)"/gm)].map(
			([, from]) => from,
		);
		const manifest: Record<
			'dependencies' | 'peerDependencies',
			Record<string, string>
		> = JSON.parse(read('package.json'));
		const { dependencies, peerDependencies } = manifest;
		const allowed = [
			'cloudflare:workers',
			...Object.keys({ ...dependencies, ...peerDependencies }),
		];
		expect(imports).not.toEqual([]);
		for (const from of imports) expect(allowed).toContain(from);
	});

	it('stays within its size budget', () => {
		expect(gzipSync(read('dist/index.js')).byteLength).toBeLessThan(MAX_GZIPPED_BYTES);
	});
});
