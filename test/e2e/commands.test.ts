import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT, WRANGLER } from '../../examples/quickstart/demo/dev-server.ts';

/** Rejects where the exit code is not 0. */
const run = (...args: string[]) =>
	promisify(execFile)(process.execPath, args, {
		cwd: ROOT,
		env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
	});

test('the demo receives all that it expects, and ends by itself', async () => {
	const { stdout } = await run('examples/quickstart/demo/demo.ts');

	expect(stdout).toContain('All arrived.');
	expect(stdout).not.toContain('WRONG');
});

test('wrangler bundles each example for deployment', async () => {
	for (const config of [
		'wrangler.jsonc',
		'examples/second-worker/wrangler.jsonc',
		'examples/playground/wrangler.jsonc',
	]) {
		const directory = await mkdtemp(join(tmpdir(), 'deploy-'));
		onTestFinished(() => rm(directory, { recursive: true }));

		const bundled = ['deploy', '--dry-run', '--config', config, '--outdir', directory];
		const { stdout } = await run(WRANGLER, ...bundled);

		expect(stdout).toContain('env.TMCP_DURABLE_OBJECT');
		expect(await readdir(directory)).toContain('index.js');
	}
});
