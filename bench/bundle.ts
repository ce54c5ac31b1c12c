import { execFile } from 'node:child_process';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fromWrangler } from './from-wrangler.ts';
import type { Subject } from './subjects.ts';

/** Bundle a subject's Worker. @returns the file */
export function bundle(subject: Subject, folder: string): Promise<string> {
	return bundleWorker(`subjects/${subject}`, folder);
}

/** Bundle a Worker of `worker/` as wrangler would. @returns the file */
export async function bundleWorker(name: string, folder: string): Promise<string> {
	const entry = fileURLToPath(new URL(`worker/${name}.ts`, import.meta.url));
	const file = join(folder, `${basename(name)}.js`);
	const cwd = fileURLToPath(new URL('..', import.meta.url));
	const args = [
		entry,
		'--bundle',
		'--format=esm',
		'--target=es2024',
		'--external:cloudflare:*',
		'--external:node:*',
		'--conditions=workerd,worker,import',
		// The path entries of the project are for types only: `peer` leads to declarations there.
		'--tsconfig-raw={}',
		`--outfile=${file}`,
	];
	await promisify(execFile)(fromWrangler.resolve('esbuild/bin/esbuild'), args, { cwd });
	return file;
}
