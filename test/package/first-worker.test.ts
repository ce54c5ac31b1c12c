import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from './project.ts';

/** What the newcomer's Worker has beside the tools of its server. */
const MAX_LINES = 20;

it(`the first Worker has at most ${MAX_LINES} lines beside its tools`, () => {
	const worker = readFileSync(join(ROOT, 'examples/unit-test/worker.ts'), 'utf8');
	const withoutTools = worker.replaceAll(/^server\.tool\([\s\S]*?^\}\);$/gm, '');
	const lines = withoutTools.split('\n').filter((line) => line.trim() !== '');
	expect(withoutTools).not.toBe(worker);
	// All that makes it a server that any client reaches is among those that are counted.
	for (const part of ['new McpServer(', 'new DurableObjectSessions(', 'export { SyncLayer }'])
		expect(lines.join('\n')).toContain(part);
	expect(lines.length).toBeLessThanOrEqual(MAX_LINES);
});
