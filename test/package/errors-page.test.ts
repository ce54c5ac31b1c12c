import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CONFIGURATION_PROBLEM_CODES } from '../../src/check/configuration.ts';
import { pageOf, SESSION_MANAGER_ERROR_CODES, SessionManagerError } from '../../src/errors.ts';
import { ROOT } from './project.ts';

const page = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
const codes = [...new Set([...SESSION_MANAGER_ERROR_CODES, ...CONFIGURATION_PROBLEM_CODES])];
const quoted = [...page.matchAll(/^([A-Z_]+): (.*)$/gm)];

/** The texts of the source, as they are put together from parts and values. */
const texts = readdirSync(join(ROOT, 'src'), { encoding: 'utf8', recursive: true })
	.filter((name) => name.endsWith('.ts'))
	.map((name) => readFileSync(join(ROOT, 'src', name), 'utf8'))
	.join('\n')
	// What is filled in stands as `…` on the page.
	.replaceAll(/\$\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}/g, '…')
	.replaceAll("\\'", "'");

describe('docs/errors.md', () => {
	it('has one section for each code, and no others', () => {
		const sections = [...page.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading);
		expect(sections.toSorted()).toEqual(codes.toSorted());
	});

	it.each(codes)('shows a message of %s under its heading', (code) => {
		const [, rest = ''] = page.split(`\n### ${code}\n`);
		const [section = ''] = rest.split('\n###');
		expect(section).toMatch(new RegExp(`^\n\`\`\`\n${code}: `));
		// Cause and cure.
		expect(section.split('```')[2]?.trim().length).toBeGreaterThan(40);
	});

	it.each(quoted.map(([, code = '', text = '']) => ({ code, text })))(
		'quotes the source: $code: $text',
		({ text }) => {
			// Sentences are put together, too, and a limit stands in the source by its name.
			for (const part of text.split(/…|"|\.(?: |$)|256|2025-06-01/).map((one) => one.trim())) {
				expect(texts.includes(part), part).toBe(true);
			}
		},
	);
});

describe('the message of an error', () => {
	it.each(codes)('of %s leads to its section', (code) => {
		const { repository } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
		const address = repository.url.replace(/^git\+|\.git$/g, '');
		expect(pageOf(code)).toBe(
			`${address}/blob/main/${repository.directory}/docs/errors.md#${code.toLowerCase()}`,
		);
	});

	it('begins with its code and ends with the address', () => {
		const error = new SessionManagerError('OBJECT_FULL', 'It is full.');
		expect(error.message).toBe(`OBJECT_FULL: It is full. ${pageOf('OBJECT_FULL')}`);
		expect(error.reason).toBe('It is full.');
	});

	it('has the address once, however often it crosses RPC', () => {
		const { message } = new SessionManagerError('OBJECT_FULL', 'It is full.');
		for (const text of [message, `SessionManagerError: ${message}`, 'OBJECT_FULL: It is full.']) {
			const restored = SessionManagerError.from(new Error(text));
			expect(restored?.message).toBe(message);
			expect(restored?.reason).toBe('It is full.');
		}
	});
});
