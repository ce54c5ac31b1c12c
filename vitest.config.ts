import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { environmentFor } from './examples/quickstart/demo/compatibility.ts';
import { NEWEST, OLDEST } from './test/e2e/platforms.ts';

const source = (file: string) => fileURLToPath(new URL(`src/${file}`, import.meta.url));

/** The first that a specifier begins with is taken. */
const alias = {
	'@tmcp/session-manager-durable-objects/advanced': source('advanced.ts'),
	'@tmcp/session-manager-durable-objects/client': source('client.ts'),
	'@tmcp/session-manager-durable-objects': source('index.ts'),
};

/** `TORTURE=long` makes it as hard as it gets, `TORTURE_SEED=…` repeats a run. */
const torture = {
	seed: Number(process.env['TORTURE_SEED'] ?? randomInt(2 ** 32)),
	size:
		process.env['TORTURE'] === 'long'
			? { sessions: 20, messages: 2_000 }
			: { sessions: 5, messages: 200 },
};

/** `FUZZ=long` gives it as many inputs as a release gets, `FUZZ_SEED=…` repeats a run. */
const fuzz = {
	seed: Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31)),
	inputs: process.env['FUZZ'] === 'long' ? 100_000 : 2_000,
};

/** Most of these wait most of the time: several files at once take half as long, on two cores too. */
const inWorkerd = { testTimeout: 20_000, maxWorkers: 3, sequence: { groupOrder: 0 } };

/** `wrangler dev` takes seconds to start, and its tests measure time: one file at a time, and nothing beside it. */
const endToEnd = {
	testTimeout: 60_000,
	hookTimeout: 60_000,
	maxWorkers: 1,
	sequence: { groupOrder: 1 },
};

/** Managers and gateways that are told nothing else have four homes. */
const fourHomes = {
	name: 'four-homes',
	enforce: 'pre' as const,
	resolveId: (specifier: string) =>
		specifier.endsWith('/default-homes.ts')
			? fileURLToPath(new URL('test/support/four-homes.ts', import.meta.url))
			: null,
};

/**
 * All tests of managers and gateway, but those that say themselves how many homes there are, and those of what happens inside
 * one object: its limits, its rows, what it is asked for, and streams whose object is a fake.
 */
const WITH_ANY_HOMES = {
	include: ['test/{contract,transports}/**/*.test.ts', 'test/worker/**/*.test.ts'],
	exclude: [
		'test/worker/{client,routing}/**',
		'test/worker/answers/{answers,event-blocks}.test.ts',
		'test/worker/connection/lifetime.test.ts',
		'test/worker/gateway/{allowed-hosts,hostile-requests,limits,message-body,request-kind,same-reading,session-ids}.test.ts',
		'test/worker/info/{durable-object-info-session-manager,kv-info-session-manager,lives}.test.ts',
		'test/worker/listen/durable-object-subscription-manager.test.ts',
		'test/worker/streams/{faults,flow-control}.test.ts',
	],
};

/** What depends on the runtime most: streams, resuming, listening, errors over RPC, clients that vanish. */
const DEPENDS_ON_PLATFORM = ['errors', 'listen', 'resume', 'vanished-client'].map(
	(name) => `test/e2e/${name}.test.ts`,
);

export default defineConfig({
	test: {
		provide: { fuzz, torture },
		projects: [
			{
				plugins: [
					cloudflareTest({ wrangler: { configPath: 'test/support/worker/wrangler.jsonc' } }),
				],
				resolve: { alias },
				test: {
					name: 'workerd',
					include: [
						'test/{contract,fuzz,object,properties,torture,transports,wire,worker}/**/*.test.ts',
						'test/*.test.ts',
					],
					...inWorkerd,
				},
			},
			{
				plugins: [
					fourHomes,
					cloudflareTest({ wrangler: { configPath: 'test/support/worker/wrangler.jsonc' } }),
				],
				resolve: { alias },
				test: { name: 'homes', ...WITH_ANY_HOMES, ...inWorkerd },
			},
			{
				plugins: [
					cloudflareTest({ wrangler: { configPath: 'examples/unit-test/wrangler.jsonc' } }),
				],
				resolve: { alias },
				test: { name: 'example', include: ['examples/unit-test/**/*.test.ts'], ...inWorkerd },
			},
			{
				test: {
					name: 'node',
					include: ['test/{bench,crash,docs,e2e,package}/**/*.test.ts'],
					...endToEnd,
				},
			},
			...Object.entries({ oldest: OLDEST, newest: NEWEST }).map(([name, platform]) => ({
				test: {
					name,
					include: DEPENDS_ON_PLATFORM,
					env: environmentFor(platform),
					...endToEnd,
				},
			})),
		],
	},
});
