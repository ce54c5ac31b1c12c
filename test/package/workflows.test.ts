import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './project.ts';

const directory = join(ROOT, '.github/workflows');
const files = readdirSync(directory);

function workflow(name: string): string {
	return readFileSync(join(directory, name), 'utf8');
}

describe.each(files)('the workflow %s', (file) => {
	it('is valid', () => {
		const validator = join(ROOT, 'node_modules/@action-validator/cli/cli.mjs');
		const { status, stdout, stderr } = spawnSync(
			process.execPath,
			[validator, join('.github/workflows', file)],
			{ cwd: ROOT, encoding: 'utf8' },
		);
		expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
	});

	it('names an exact version of each action', () => {
		const used = [...workflow(file).matchAll(/uses: (.*)/g)].map(([, action]) => action);
		expect(used).not.toEqual([]);
		for (const action of used) expect(action).toMatch(/@v\d+\.\d+\.\d+$|^\.\//);
	});

	it('gives no job more rights than it names', () => {
		expect(workflow(file)).toMatch(/^permissions: \{\}$/m);
	});

	it('runs scripts that exist', () => {
		const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
		for (const [, script = ''] of workflow(file).matchAll(/npm (?:run )?(\w+)$/gm)) {
			if (script !== 'ci') expect(scripts).toHaveProperty(script);
		}
	});
});

it('the tests run on Node 22, 24 and the newest', () => {
	expect(workflow('ci.yml')).toContain("node: ['22', '24', latest]");
});

it('the tests run in a browser, and not without one', () => {
	expect(readFileSync(join(ROOT, 'test/browser/chromium.ts'), 'utf8')).toContain('CHROMIUM_PATH');
	expect(workflow('ci.yml')).toMatch(
		/^ {6}CHROMIUM_PATH: \/.*$[\s\S]*run: test -x "\$CHROMIUM_PATH"$[\s\S]*run: npm test$/m,
	);
});

it('what is published has passed the tests, and says where it was built', () => {
	const release = workflow('release.yml');
	expect(release).toContain('uses: ./.github/workflows/ci.yml');
	expect(release).toMatch(/publish:\n {4}needs: pack\n[\s\S]*id-token: write/);
});
