import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { checks, generated, measurements } from '../../bench/model.ts';

const docs = resolve(import.meta.dirname, '../../docs');

it('docs/scaling.md and its charts show what `npm run model` computes', () => {
	for (const [name, text] of generated()) {
		expect(readFileSync(resolve(docs, name), 'utf8'), name).toBe(text);
	}
});

it('the large run took at most four times as much as the model says: docs/scaling.md tells what is known of why', () => {
	const { object, runs } = measurements();
	const ratios = checks(object, runs).map(({ title, ratio }) => ({ title, ratio }));
	expect(ratios).toHaveLength(5);
	for (const { title, ratio } of ratios) {
		expect(ratio, title).toBeGreaterThan(0.5);
		expect(ratio, title).toBeLessThanOrEqual(4);
	}
});
