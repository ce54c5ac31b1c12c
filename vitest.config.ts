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
	'@tmcp/session-manager-durable-objects/check': source('check/configuration.ts'),
	'@tmcp/session-manager-durable-objects/client': source('client.ts'),
	'@tmcp/session-manager-durable-objects/diagnostics': source('diagnostics.ts'),
	'@tmcp/session-manager-durable-objects/inspector': source('inspector.ts'),
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

/** All tests of managers and gateway, but those for which it makes no difference, or which one number of homes is for. */
const WITH_ANY_HOMES = {
	include: [
		'test/{contract,transports,worker}/**/*.test.ts',
		'test/durable-object-sessions.test.ts',
	],
	exclude: [
		// They say themselves how many homes there are.
		'test/worker/{client,inspector,routing}/**',
		'test/worker/gateway/session-ids.test.ts',
		// No object is asked: what is read of a message or a response, how long something lives, what KV keeps.
		'test/worker/answers/event-blocks.test.ts',
		'test/worker/connection/lifetime.test.ts',
		'test/worker/gateway/{allowed-hosts,message-body,request-kind}.test.ts',
		'test/worker/info/kv-info-session-manager.test.ts',
		// 10,000 requests to two doors say the same of each home.
		'test/worker/gateway/same-reading.test.ts',
		// The limits of one object: each home has as many.
		'test/worker/gateway/limits.test.ts',
		// Calls and rows are counted, and each home that is used costs one more of both.
		'test/worker/info/lives.test.ts',
		// An object of the test's own, which fails at a call that is counted, or is asked for the bytes of its one socket.
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
			...Object.entries({ analytics: 'wrangler', spans: 'spans' }).map(([name, config]) => ({
				plugins: [
					cloudflareTest({
						wrangler: { configPath: `examples/observability/${config}.jsonc` },
					}),
				],
				resolve: { alias },
				test: { name, include: [`examples/observability/${name}.test.ts`] },
			})),
			{
				test: {
					name: 'node',
					include: [
						'test/{bench,check,crash,docs,e2e,package}/**/*.test.ts',
						'examples/*/test/*.test.ts',
					],
					...endToEnd,
				},
			},
			{
				test: {
					name: 'browser',
					include: ['test/browser/**/*.test.ts'],
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
