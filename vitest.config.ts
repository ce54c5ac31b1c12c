import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const alias = {
	'@tmcp/session-manager-durable-objects': fileURLToPath(new URL('src/index.ts', import.meta.url)),
};

export default defineConfig({
	test: {
		projects: [
			{
				plugins: [cloudflareTest({ wrangler: { configPath: 'test/worker/wrangler.jsonc' } })],
				resolve: { alias },
				test: {
					name: 'workerd',
					include: [
						'test/{contract,managers,routing,sync-layer,transports}/**/*.test.ts',
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
					include: ['test/{e2e,package}/**/*.test.ts'],
					testTimeout: 60_000,
					hookTimeout: 60_000,
					fileParallelism: false,
				},
			},
		],
	},
});
