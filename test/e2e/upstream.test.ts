/** What tmcp's tracker is told of is still so. Where one of these fails, something was cured there: say so in the README. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../../examples/quickstart/demo/dev-server.ts';

test('tmcp by itself takes one client’s answer to what another client was asked', () => {
	const { status, stdout } = spawnSync(
		process.execPath,
		['docs/upstream/server-request-answers.ts'],
		{
			cwd: ROOT,
			encoding: 'utf8',
		},
	);
	expect(stdout.replaceAll('\\', '')).toContain('"from":"mallory"');
	expect(status).toBe(1);
});

test('the issue quotes the script as it is', () => {
	const read = (name: string) => readFileSync(join(ROOT, 'docs/upstream', name), 'utf8');
	expect(read('server-request-answers.md')).toContain(
		`\`\`\`ts\n${read('server-request-answers.ts')}\`\`\``,
	);
});
