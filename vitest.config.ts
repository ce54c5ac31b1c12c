import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const alias = {
	'@tmcp/session-manager-durable-objects': fileURLToPath(new URL('src/index.ts', import.meta.url)),
};

/** `TORTURE=long` makes it as hard as it gets, `TORTURE_SEED=…` repeats a run. */
const torture = {
	seed: Number(process.env['TORTURE_SEED'] ?? randomInt(2 ** 32)),
	size:
		process.env['TORTURE'] === 'long'
			? { sessions: 20, messages: 2_000 }
			: { sessions: 5, messages: 200 },
};

export default defineConfig({
	test: {
		provide: { torture },
		projects: [
			{
				plugins: [
					cloudflareTest({ wrangler: { configPath: 'test/support/worker/wrangler.jsonc' } }),
				],
				resolve: { alias },
				test: {
					name: 'workerd',
					include: [
						'test/{contract,object,properties,torture,transports,wire,worker}/**/*.test.ts',
						'test/*.test.ts',
					],
				},
			},
			{
				plugins: [
					cloudflareTest({ wrangler: { configPath: 'examples/unit-test/wrangler.jsonc' } }),
				],
				resolve: { alias },
				test: { name: 'example', include: ['examples/unit-test/**/*.test.ts'] },
			},
			{
				test: {
					name: 'node',
					include: ['test/{bench,e2e,package}/**/*.test.ts'],
					testTimeout: 60_000,
					hookTimeout: 60_000,
					fileParallelism: false,
				},
			},
		],
	},
});
