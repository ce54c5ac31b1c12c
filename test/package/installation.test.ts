import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Installation, succeeded } from './installation.ts';
import { PACKAGE, Project, ROOT } from './project.ts';

const example = (name: string) => readFileSync(join(ROOT, 'examples/unit-test', name), 'utf8');

const WRANGLER = 'wrangler/bin/wrangler.js';

/** All entries, and bindings that are there and that are not. */
const BINDINGS = `import {
	DurableObjectSessions,
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
} from '${PACKAGE}';
import { openSocket } from '${PACKAGE}/advanced';
import { checkConfiguration } from '${PACKAGE}/check';
import { SyncLayerClient } from '${PACKAGE}/client';
import { env } from 'cloudflare:workers';

export const right = [
	new DurableObjectSessions(),
	new DurableObjectSessions({ binding: 'TMCP_DURABLE_OBJECT' }),
	new DurableObjectStreamSessionManager(env.TMCP_DURABLE_OBJECT),
	new SyncLayerClient('TMCP_DURABLE_OBJECT'),
];
export const has: Promise<boolean> = env.TMCP_DURABLE_OBJECT.getByName('x').has('id');
export const others = [openSocket, checkConfiguration];

export const wrong = [
	// @ts-expect-error there is no such binding
	new DurableObjectSessions({ binding: 'NOT_BOUND' }),
	// @ts-expect-error nor is there here
	new DurableObjectStreamSessionManager('NOT_BOUND'),
	// @ts-expect-error there is no KV namespace
	new KVInfoSessionManager('TMCP_DURABLE_OBJECT'),
	// @ts-expect-error a session id is a string
	env.TMCP_DURABLE_OBJECT.getByName('x').has(1),
];
`;

/** What somebody declares who does not use \`wrangler types\`. */
const ENV = `declare namespace Cloudflare {
	interface Env {
		TMCP_DURABLE_OBJECT: DurableObjectNamespace<import('${PACKAGE}').SyncLayer>;
	}
}
`;

/** Each way to resolve, each source of types and each package manager; all combinations would take minutes. */
const CONFIGURATIONS = [
	{ manager: 'npm', resolution: 'bundler', source: 'wrangler types' },
	{ manager: 'npm', resolution: 'nodenext', source: 'workers-types' },
	{ manager: 'pnpm', resolution: 'nodenext', source: 'wrangler types' },
] as const;

type Configuration = (typeof CONFIGURATIONS)[number];

/**
 * What `wrangler types` writes, and with what the bindings are declared. With `nodenext` it leaves them to the user,
 * because the import that wrangler would write has no file extension, which TypeScript does not take there.
 */
const WRANGLER_TYPES = {
	bundler: { args: [], declared: [] },
	nodenext: { args: ['--include-env=false'], declared: ['env.d.ts'] },
};

function tsconfig({ resolution, source }: Configuration): string {
	const ofWrangler = source === 'wrangler types';
	return JSON.stringify({
		compilerOptions: {
			module: resolution === 'bundler' ? 'esnext' : 'nodenext',
			moduleResolution: resolution,
			types: [ofWrangler ? './worker-configuration.d.ts' : '@cloudflare/workers-types'],
			target: 'es2024',
			lib: ['es2024'],
			strict: true,
			skipLibCheck: false,
			noEmit: true,
		},
		files: [
			'worker.ts',
			'bindings.ts',
			...(ofWrangler ? WRANGLER_TYPES[resolution].declared : ['env.d.ts']),
		],
	});
}

/** Whose declarations do not hold by themselves, with or without this package: tmcp 1.20's, and what wrangler writes. */
const OTHERS =
	/^(?:.*\/)?node_modules\/(?:@tmcp\/(?:session-manager|transport-http)|tmcp)\/|^worker-configuration/;

/** What the compiler has against the project and this package. */
function objections(output: string): string[] {
	const lines = output.split('\n').filter((line) => line !== '' && !line.startsWith(' '));
	return lines.filter((line) => !OTHERS.test(line));
}

let project: Project;
beforeAll(() => {
	project = new Project();
});
afterAll(() => project?.remove());

describe.each(['npm', 'pnpm'] as const)('installed with %s', (manager) => {
	let installation: Installation;

	beforeAll(async () => {
		installation = new Installation();
		await installation.install(manager, project.tarball);
		for (const name of ['worker.ts', 'wrangler.jsonc']) installation.write(name, example(name));
		installation.write('bindings.ts', BINDINGS);
		installation.write('env.d.ts', ENV);
	});
	afterAll(() => installation?.remove());

	it.concurrent.each(CONFIGURATIONS.filter((one) => one.manager === manager))(
		'its types hold with $resolution resolution and $source',
		async (configuration) => {
			if (configuration.source === 'wrangler types') {
				const { args } = WRANGLER_TYPES[configuration.resolution];
				succeeded(await installation.run(WRANGLER, 'types', ...args));
			}
			const name = `tsconfig.${configuration.resolution}.json`;
			installation.write(name, tsconfig(configuration));
			const { output } = await installation.run('typescript/bin/tsc', '-p', name);
			expect(objections(output)).toEqual([]);
		},
	);

	// What is built does not depend on who installed it.
	const withNpm = [manager].filter((name) => name === 'npm');
	it.each(withNpm)('a Worker in JavaScript is built, and nothing is wrong with it', async () => {
		installation.write('js/worker.js', javaScriptOf(example('worker.ts')));
		const config = example('wrangler.jsonc').replace('worker.ts', 'worker.js');
		installation.write('js/wrangler.jsonc', config);

		const args = ['--config', 'js/wrangler.jsonc'];
		const built = join(installation.directory, 'built');
		const outcomes = await Promise.all([
			installation.run(WRANGLER, 'deploy', '--dry-run', '--outdir', built, ...args),
			installation.runInstalled('session-manager-durable-objects', ...args),
		]);

		expect(outcomes[0]).toMatchObject({ status: 0 });
		expect(installation.read('built/worker.js')).toContain('acceptWebSocket');
		expect(outcomes[1]).toEqual({ status: 0, output: 'Nothing is wrong.\n' });
	});
});

/** The example without its only type. */
function javaScriptOf(worker: string): string {
	return worker.replace(' satisfies ExportedHandler', '');
}
