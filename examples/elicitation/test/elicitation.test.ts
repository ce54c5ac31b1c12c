import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ROOT } from '../../quickstart/demo/dev-server.ts';

test('a tool at one instance gets the answer that its caller gave at another one', async () => {
	const demo = ['examples/elicitation/demo/demo.ts'];
	const { stdout } = await promisify(execFile)(process.execPath, demo, { cwd: ROOT });

	expect(stdout).toMatch(/first instance asks: +How many cups\?/);
	expect(stdout).toMatch(/second takes the answer: +202/);
	expect(stdout).toContain('3 cups are ordered.');
});
