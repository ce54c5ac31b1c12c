import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
	checkConfiguration,
	type CheckOptions,
	type ConfigurationProblem,
	problem,
} from './configuration.ts';

/** Where the Worker is, and what its code says. */
interface CheckedWorker extends Omit<CheckOptions, 'exported'> {
	/** The directory that everything is relative to. */
	directory: string;
	/** The configuration (default: that of wrangler in the directory). */
	config?: string | undefined;
	/** The environment of the configuration. */
	env?: string | undefined;
}

const CODE = /\.[cm]?[jt]sx?$/;
const CONFIGURATIONS = ['wrangler.json', 'wrangler.jsonc', 'wrangler.toml'];

/** What is wrong with a Worker as it lies on the disk: with its configuration, and with what its entry exports. */
export async function checkWorker({
	directory,
	config = CONFIGURATIONS.find((name) => existsSync(join(directory, name))),
	env,
	...options
}: CheckedWorker): Promise<ConfigurationProblem[]> {
	if (config === undefined) {
		const names = CONFIGURATIONS.join(', ');
		return [unreadable(`there is none of ${names} in ${directory}. Name it with --config.`)];
	}
	const path = resolve(directory, config);
	// Those of the project: the newest wrangler may refuse what an older one takes.
	const fromProject = createRequire(path);
	let wranglerPath: string;
	try {
		wranglerPath = fromProject.resolve('wrangler');
	} catch {
		return [
			unreadable(
				`wrangler is not installed in ${dirname(path)}. Run npm install --save-dev wrangler.`,
			),
		];
	}
	const { unstable_readConfig: readConfig }: typeof import('wrangler') = await import(
		pathToFileURL(wranglerPath).href
	);
	let read: ReturnType<typeof readConfig>;
	try {
		read = readConfig({ config: path, env }, { hideWarnings: true });
	} catch (error) {
		return [unreadable(`wrangler does not take ${config}. ${sentence(error)}`)];
	}
	const { main } = read;
	const withoutEntry = (reason: string) => [
		problem('ENTRY_UNREADABLE', reason),
		...checkConfiguration(read, options),
	];
	if (main === undefined) {
		return withoutEntry('there is no "main" in the configuration. Name the entry there.');
	}
	try {
		const exported = await exportsOf(main, wranglerPath);
		return checkConfiguration(read, { ...options, ...(exported && { exported }) });
	} catch (error) {
		const name = relative(directory, main);
		return withoutEntry(`the entry ${name} cannot be read. ${sentence(error)}`);
	}
}

function unreadable(reason: string): ConfigurationProblem {
	return problem('CONFIGURATION_UNREADABLE', reason);
}

function sentence(error: unknown): string {
	const text = error instanceof Error ? error.message : String(error);
	return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * The names that a module exports, by the bundler that wrangler uses.
 * @returns `undefined` where it exports all of a package, whose names are not looked up
 */
async function exportsOf(
	entry: string,
	wranglerPath: string,
): Promise<readonly string[] | undefined> {
	const esbuildPath = createRequire(wranglerPath).resolve('esbuild');
	const esbuild: typeof import('esbuild') = await import(pathToFileURL(esbuildPath).href);
	const { metafile, outputFiles } = await esbuild.build({
		entryPoints: [entry],
		bundle: true,
		format: 'esm',
		packages: 'external',
		plugins: [
			{
				name: 'code-only',
				setup(build) {
					// Texts, binaries and whatever else wrangler knows how to load export no class.
					build.onResolve({ filter: /\.\w+$/ }, ({ path, kind }) =>
						kind === 'entry-point' || CODE.test(path) ? undefined : { path, external: true },
					);
				},
			},
		],
		metafile: true,
		write: false,
		logLevel: 'silent',
	});
	if (outputFiles.some(({ text }) => /^export \* from /m.test(text))) return undefined;
	return Object.values(metafile.outputs).flatMap((output) => output.exports);
}
