import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Which behaviour of the Workers runtime a Worker asks for. */
export interface Compatibility {
	date: string;
	flags: readonly string[];
}

const DATE = 'COMPATIBILITY_DATE';
const FLAGS = 'COMPATIBILITY_FLAGS';

/** What the environment asks for: a date, and flags with commas between them. `undefined` without a date. */
export function compatibilityFrom(env: NodeJS.ProcessEnv): Compatibility | undefined {
	const { [DATE]: date, [FLAGS]: flags = '' } = env;
	return date ? { date, flags: flags.split(',').filter(Boolean) } : undefined;
}

/** The environment that asks for it. */
export function environmentFor({ date, flags }: Compatibility): Record<string, string> {
	return { [DATE]: date, [FLAGS]: flags.join(',') };
}

/**
 * Copies configurations, with another date and other flags in each. `wrangler dev --compatibility-date`
 * would not do: of several Workers it changes the first one only.
 * @param configs absolute paths
 * @param directory where the copies go
 * @returns their absolute paths
 */
export function copyConfigs(
	configs: readonly string[],
	{ date, flags }: Compatibility,
	directory: string,
): string[] {
	return configs.map((config, index) => {
		const { $schema: _, main, ...rest } = parseJsonc(readFileSync(config, 'utf8'));
		const copy = join(directory, `wrangler-${index}.json`);
		const changed = {
			...rest,
			// The only path in these configurations. It is relative to the file.
			main: resolve(dirname(config), String(main)),
			compatibility_date: date,
			compatibility_flags: flags,
		};
		writeFileSync(copy, JSON.stringify(changed));
		return copy;
	});
}

/** JSON with comments and trailing commas. To have wrangler read it takes two seconds of a test. */
export function parseJsonc(text: string): Record<string, unknown> {
	const json = text
		.replaceAll(/("(?:[^"\\]|\\.)*")|\/\/.*|\/\*[\s\S]*?\*\//g, '$1')
		.replaceAll(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, '$1');
	return JSON.parse(json);
}
