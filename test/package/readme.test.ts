import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(resolve(root, 'README.md'), 'utf8');
const quotations = [...readme.matchAll(/<!-- file: (\S+) -->\n```\w+\n([\s\S]*?)```/g)];

it.each(quotations.map(([, file = '', code = '']) => ({ file, code })))(
	'the README quotes $file as it is',
	({ file, code }) => {
		expect(code).toBe(readFileSync(resolve(root, file), 'utf8'));
	},
);

it('the README quotes every file of the unit-test example', () => {
	expect(quotations.map(([, file]) => file)).toEqual(
		expect.arrayContaining([
			'examples/unit-test/wrangler.jsonc',
			'examples/unit-test/worker.ts',
			'examples/unit-test/vitest.config.ts',
			'examples/unit-test/worker.test.ts',
		]),
	);
});
