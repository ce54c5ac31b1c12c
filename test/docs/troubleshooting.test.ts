import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../../docs/.vitepress/quotes.ts';
import { SESSION_MANAGER_ERROR_CODES } from '../../src/errors.ts';

const page = readFileSync(join(ROOT, 'docs/troubleshooting.md'), 'utf8');

/** Everything that can say something: this library, tmcp's transport, wrangler, workerd. */
const sources = [
	...globSync('src/**/*.ts', { cwd: ROOT }),
	'node_modules/@tmcp/transport-http/src/index.js',
	'node_modules/wrangler/wrangler-dist/cli.js',
	'node_modules/typescript/lib/typescript.js',
	...globSync('node_modules/@cloudflare/workerd-*/bin/workerd*', { cwd: ROOT }),
].map((path) => readFileSync(join(ROOT, path)));

const isSaid = (text: string) => sources.some((source) => source.includes(text));

/** What a message has in common each time: without its code, the values in it, and what surrounds it where it is printed. */
function fixedParts(message: string): string[] {
	return message
		.replace(/^[A-Z_]+: |^TS\d+: /, '')
		.split(/"[^"]*"|'[^']*'|`[^`]*`|\bTMCP_DURABLE_OBJECT\b|\d+| is not (?=a )/)
		.map((part) => part.trim())
		.filter((part) => part.length > 8);
}

const quoted = [...page.matchAll(/^```text\n([\s\S]*?)\n```$/gm)].map(([, text = '']) => text);
const ofStatus = [...page.matchAll(/^\| \d{3} \| `([^`]*)` \|/gm)].map(([, text = '']) => text);

it.each([...quoted, ...ofStatus])('something says: %s', (message) => {
	for (const part of fixedParts(message)) expect(isSaid(part), part).toBe(true);
});

it('each code is one of the page, and each code of the page is one', () => {
	const codes: readonly string[] = SESSION_MANAGER_ERROR_CODES;
	for (const code of codes) expect(page).toContain(code);
	for (const [, code] of page.matchAll(/^([A-Z_]{6,}): /gm)) expect(codes).toContain(code);
});
