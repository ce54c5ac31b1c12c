import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Finds what wrangler depends on, so that workerd and esbuild are of the versions that it runs. */
export const fromWrangler = createRequire(
	fileURLToPath(import.meta.resolve('wrangler/package.json')),
);
