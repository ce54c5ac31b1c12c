/** As wrangler bundles a Worker with `--minify`. What the runtime has is no part of it. */
const asWrangler = (external) => (config) => ({
	...config,
	platform: 'neutral',
	format: 'esm',
	target: 'es2024',
	mainFields: ['module', 'main'],
	conditions: ['workerd', 'worker', 'import'],
	external: ['cloudflare:*', 'node:*', ...external],
	legalComments: 'none',
});

const library = { gzip: true, modifyEsbuildConfig: asWrangler(['tmcp']) };
const worker = { gzip: true, modifyEsbuildConfig: asWrangler([]) };

/** Budgets of what is imported, minified and gzipped: just above what is true. Raise one on purpose only. */
export default [
	{
		...library,
		name: 'the object alone (`SyncLayer`)',
		path: 'src/index.ts',
		import: '{ SyncLayer }',
		limit: '29.4 kB',
	},
	{
		...library,
		name: 'the object and `DurableObjectSessions`, without tmcp',
		path: 'src/index.ts',
		import: '{ SyncLayer, DurableObjectSessions }',
		limit: '51.5 kB',
	},
	{
		...library,
		name: 'the client of other Workers (`SyncLayerClient`)',
		path: 'src/client.ts',
		import: '{ SyncLayerClient }',
		limit: '12 kB',
	},
	// What the first Worker grows by is the difference of these two: test/package/size.test.ts has the budget.
	{ ...worker, name: 'tmcp and its transport', path: 'test/package/size/without.ts' },
	{ ...worker, name: 'the first Worker', path: 'examples/unit-test/worker.ts' },
];
