import { execFile } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ROOT } from '../../quickstart/demo/dev-server.ts';

test("the tests for node:test pass, with Miniflare's API and stubs in Node", async () => {
	// Without what vitest sets, or the tests would report to it.
	const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, PATH = '', ...env } = process.env;
	const args = ['--test', '--test-reporter=tap', 'examples/miniflare/test/bell.node.ts'];
	const { stdout } = await promisify(execFile)(process.execPath, args, {
		cwd: ROOT,
		env: {
			...env,
			// As `npx` does it.
			PATH: [join(ROOT, 'node_modules/.bin'), PATH].join(delimiter),
			WRANGLER_SEND_METRICS: 'false',
		},
	}).catch((error: { stdout: string }) => error);

	expect(stdout).toContain('# pass 2');
	expect(stdout).toContain('# fail 0');
});
