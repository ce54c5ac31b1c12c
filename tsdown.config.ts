import { defineConfig } from 'tsdown';

export default defineConfig({
	entry: ['src/index.ts', 'src/advanced.ts', 'src/client.ts', 'src/inspector.ts'],
	format: 'esm',
	platform: 'neutral',
	target: 'es2024',
	// One module for each source file: both entries share them, and a Worker that imports a name bundles that name only.
	unbundle: true,
	dts: true,
	sourcemap: true,
	external: [/^cloudflare:/, /^node:/],
	outExtensions: () => ({ js: '.js', dts: '.d.ts' }),
});
