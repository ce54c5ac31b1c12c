import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { generated } from '../../bench/model.ts';

const docs = resolve(import.meta.dirname, '../../docs');

it('docs/scaling.md and its charts show what `npm run model` computes', () => {
	for (const [name, text] of generated()) {
		expect(readFileSync(resolve(docs, name), 'utf8'), name).toBe(text);
	}
});
