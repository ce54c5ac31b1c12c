import { defineConfig } from 'tsdown';

/** One module for each source file: all entries share them, and a Worker that imports a name bundles that name only. */
const shared = {
	format: 'esm',
	root: 'src',
	unbundle: true,
	// They hold the sources, so that the package needs none beside them.
	sourcemap: true,
	outExtensions: () => ({ js: '.js', dts: '.d.ts' }),
} as const;

export default defineConfig([
	{
		...shared,
		entry: [
			'src/index.ts',
			'src/advanced.ts',
			'src/check/configuration.ts',
			'src/client.ts',
			'src/diagnostics.ts',
			'src/inspector.ts',
		],
		platform: 'neutral',
		target: 'es2024',
		dts: true,
		external: [/^cloudflare:/, /^node:/],
	},
	{
		...shared,
		// The command, which runs in Node: nothing imports it.
		entry: ['src/check/cli.ts'],
		platform: 'node',
		target: 'node22',
		dts: false,
		clean: false,
	},
]);
