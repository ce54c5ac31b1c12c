import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../../docs/.vitepress/quotes.ts';
import { errorsIn, examplesIn } from './tsdoc.ts';

it('the examples in TSDoc comments compile', () => {
	const examples = globSync('src/**/*.ts', { cwd: ROOT }).flatMap((file) =>
		examplesIn(file, readFileSync(join(ROOT, file), 'utf8')),
	);
	expect(examples).not.toEqual([]);
	expect(errorsIn(examples)).toEqual([]);
});

it('an example that does not compile is named with its file, its line and what the compiler says', () => {
	const source = `
/**
 * Part of a function.
 *
 * \`\`\`ts
 * const homes = new SessionHomes();
 *
 * return homes.close();
 * \`\`\`
 */
class Homes {
	/**
	 * A module, with names of its own.
	 *
	 * \`\`\`ts
	 * import { SessionHomes } from '@tmcp/session-manager-durable-objects/client';
	 *
	 * export const sessions: string = new SessionHomes().name;
	 * export const gateway = sessions +;
	 * \`\`\`
	 */
	name = 4;
}
`;
	expect(errorsIn(examplesIn('src/homes.ts', source))).toEqual([
		"src/homes.ts:8: Property 'close' does not exist on type 'SessionHomes'.",
		'src/homes.ts:19: Expression expected.',
		"src/homes.ts:18: Property 'name' does not exist on type 'SessionHomes'.",
	]);
});
