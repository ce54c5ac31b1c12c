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
import { subscribe, type SessionEvent } from '${PACKAGE}/diagnostics';
import { SessionInspector } from '${PACKAGE}/inspector';
import { env } from 'cloudflare:workers';

export const right = [
	new DurableObjectSessions(),
	new DurableObjectSessions({ binding: 'TMCP_DURABLE_OBJECT' }),
	new DurableObjectStreamSessionManager(env.TMCP_DURABLE_OBJECT),
	new SyncLayerClient('TMCP_DURABLE_OBJECT'),
];
export const has: Promise<boolean> = env.TMCP_DURABLE_OBJECT.getByName('x').has('id');
export const others = [openSocket, checkConfiguration];
export const inspector = new SessionInspector('TMCP_DURABLE_OBJECT', { authorise: () => false });
export const stop = subscribe((event: SessionEvent) => console.log(event.name));

export const wrong = [
	// @ts-expect-error there is no such binding
	new DurableObjectSessions({ binding: 'NOT_BOUND' }),
	// @ts-expect-error nor is there here
	new DurableObjectStreamSessionManager('NOT_BOUND'),
	// @ts-expect-error nor here
	new SessionInspector('NOT_BOUND', { authorise: () => false }),
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

/** How long all declarations may take to be checked, several times at once, in milliseconds. */
const TYPES_LIMIT_MS = 180_000;

/** Another Worker, which reaches the object of the first. */
const SECOND = {
	'second.ts': 'export default { fetch: () => new Response() } satisfies ExportedHandler;\n',
	'second.jsonc': JSON.stringify({
		name: 'second',
		main: 'second.ts',
		compatibility_date: '2026-08-01',
		compatibility_flags: ['nodejs_compat'],
		durable_objects: {
			bindings: [{ name: 'TMCP_DURABLE_OBJECT', class_name: 'SyncLayer', script_name: 'bell' }],
		},
	}),
};

/** Each way to resolve, each source of types and each package manager; all combinations would take minutes. */
const CONFIGURATIONS = [
	{ manager: 'npm', resolution: 'bundler', source: 'wrangler types' },
	{ manager: 'npm', resolution: 'bundler', source: 'wrangler types of two Workers' },
	{ manager: 'npm', resolution: 'nodenext', source: 'workers-types' },
	{ manager: 'pnpm', resolution: 'nodenext', source: 'wrangler types' },
] as const;

type Configuration = (typeof CONFIGURATIONS)[number];

/**
 * What `wrangler types` is told, and where the bindings are declared if it does not do that. With `nodenext` it leaves them
 * to the user, because the import that wrangler would write has no file extension, which TypeScript does not take there. Of
 * two Workers the types are those of the first, in which the second's class is found: here the bell's.
 */
function sourceOf({ resolution, source }: Configuration) {
	if (source === 'workers-types') {
		return { types: '@cloudflare/workers-types', declared: ['env.d.ts'] };
	}
	const isOfTwo = source === 'wrangler types of two Workers';
	const file = isOfTwo ? 'worker-configuration-of-two.d.ts' : 'worker-configuration.d.ts';
	const configs = isOfTwo ? ['second.jsonc', 'wrangler.jsonc'] : ['wrangler.jsonc'];
	const args = [file, ...configs.map((config) => `--config=${config}`)];
	return resolution === 'bundler'
		? { types: `./${file}`, args, declared: [] }
		: { types: `./${file}`, args: [...args, '--include-env=false'], declared: ['env.d.ts'] };
}

function tsconfig(configuration: Configuration): string {
	const { resolution } = configuration;
	const { types, declared } = sourceOf(configuration);
	return JSON.stringify({
		compilerOptions: {
			module: resolution === 'bundler' ? 'esnext' : 'nodenext',
			moduleResolution: resolution,
			types: [types],
			target: 'es2024',
			lib: ['es2024'],
			strict: true,
			skipLibCheck: false,
			noEmit: true,
		},
		files: ['worker.ts', 'bindings.ts', ...declared],
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
		for (const [name, text] of Object.entries(SECOND)) installation.write(name, text);
	});
	afterAll(() => installation?.remove());

	it.concurrent.each(CONFIGURATIONS.filter((one) => one.manager === manager))(
		'its types hold with $resolution resolution and $source',
		async (configuration) => {
			const { args } = sourceOf(configuration);
			if (args) succeeded(await installation.run(WRANGLER, 'types', ...args));
			const name = `tsconfig.${Object.values(configuration).join('-').replaceAll(' ', '-')}.json`;
			installation.write(name, tsconfig(configuration));
			const { output } = await installation.run('typescript/bin/tsc', '-p', name);
			expect(objections(output)).toEqual([]);
		},
		TYPES_LIMIT_MS,
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
