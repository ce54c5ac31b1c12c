/** Which pages there are. */
import { globSync } from 'node:fs';
import { ROOT } from './quotes.ts';

/** All Markdown of the repository that people read, by its path from the root; what typedoc writes is not among it. */
export function pagesInRepository(): string[] {
	return ['*.md', 'docs/*.md', 'docs/upstream/*.md', 'examples/*/README.md']
		.flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
		.toSorted();
}
