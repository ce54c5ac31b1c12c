import { readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { build } from 'tsdown';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { PACKAGE, Project } from './project.ts';

/** Room for a constant and what a bundler writes around it, in characters. */
const MAX_NAME_CHARS = 500;

const IMPORT = /^(?:import|export) (?:[^'"]* from )?"([^"]+)";$/gm;
const DYNAMIC_IMPORT = /\bimport\("([^"]+)"\)/g;

describe('the package that npm would publish', () => {
	let project: Project;

	beforeAll(() => {
		project = new Project();
	});
	afterAll(() => project?.remove());

	/** The modules of the package that an importer of `entry` loads, and what those import from elsewhere. */
	function load(entry: string) {
		const modules = new Map<string, string>();
		const others = new Set<string>();
		const queue = [entry];
		for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
			if (modules.has(path)) continue;
			const code = project.readPackage(path);
			modules.set(path, code);
			for (const [, from = ''] of [...code.matchAll(IMPORT), ...code.matchAll(DYNAMIC_IMPORT)])
				if (from.startsWith('.')) queue.push(normalize(join(dirname(path), from)));
				else others.add(from);
		}
		return { modules, others };
	}

	it('holds the built modules with their types, the licence and the README, and nothing else', () => {
		expect(readdirSync(project.package).toSorted()).toEqual([
			'LICENSE',
			'README.md',
			'dist',
			'package.json',
		]);
		const files = readdirSync(join(project.package, 'dist'), { encoding: 'utf8', recursive: true });
		for (const entry of [
			'index',
			'advanced',
			'check/configuration',
			'client',
			'diagnostics',
			'inspector',
		])
			expect(files).toEqual(expect.arrayContaining([`${entry}.js`, `${entry}.d.ts`]));
		for (const file of files.filter((name) => name.includes('.')))
			expect(file).toMatch(/\.(js|js\.map|d\.ts)$/);
	});

	it('shows a debugger the sources, which stand in the source maps', () => {
		const map: { sources: string[]; sourcesContent: (string | null)[] } = JSON.parse(
			project.readPackage('dist/object/sync-layer.js.map'),
		);
		expect(map.sources[0]).toContain('sync-layer.ts');
		expect(map.sourcesContent[0]).toContain('export class SyncLayer');
	});

	it('exports the names of the existing package from its main entry', () => {
		const exported = /^export \{([^}]*)\};$/m
			.exec(project.readPackage('dist/index.js'))?.[1]
			?.split(',')
			.map((name) => name.trim());
		expect(exported).toEqual(
			expect.arrayContaining([
				'SyncLayer',
				'DurableObjectStreamSessionManager',
				'DurableObjectSubscriptionManager',
				'KVInfoSessionManager',
			]),
		);
	});

	it('imports nothing but the platform and its dependencies', () => {
		const allowed = ['node:async_hooks', ...project.dependencies];
		const { others } = load('dist/index.js');
		expect([...others]).toEqual(expect.arrayContaining(['cloudflare:workers', 'valibot']));
		for (const from of [
			...others,
			...['advanced', 'check/configuration', 'client', 'diagnostics', 'inspector'].flatMap(
				(entry) => [...load(`dist/${entry}.js`).others],
			),
		])
			if (!from.startsWith('cloudflare:')) expect(allowed).toContain(from);
	});

	it('needs neither tmcp nor the class of the object where only the client is imported', () => {
		const { modules, others } = load('dist/client.js');
		expect([...others]).not.toContain('tmcp');
		expect([...modules.keys()].filter((path) => path.includes('object/sync-layer'))).toEqual([]);
	});

	it('has the page of the inspector on its own entry only', () => {
		const isPage = (path: string) => path.includes('worker/inspector/');
		expect([...load('dist/inspector.js').modules.keys()].some(isPage)).toBe(true);
		for (const entry of ['index', 'advanced', 'client'])
			expect([...load(`dist/${entry}.js`).modules.keys()].filter(isPage)).toEqual([]);
	});

	/** What a bundler makes of a Worker. */
	async function bundle(worker: string): Promise<string> {
		const [built] = await build({
			config: false,
			entry: project.write('bundled.ts', worker),
			cwd: project.directory,
			dts: false,
			write: false,
			external: [/^cloudflare:/, /^node:/, 'tmcp'],
			noExternal: [/^@?[a-z]/],
			inlineOnly: false,
			logLevel: 'error',
		});
		return built?.chunks.map((chunk) => ('code' in chunk ? chunk.code : '')).join('') ?? '';
	}

	it('puts nothing but the name into a Worker that imports the name of the object', async () => {
		const code = await bundle(
			`import { SYNC_LAYER_NAME } from '${PACKAGE}'; console.log(SYNC_LAYER_NAME);`,
		);
		expect(code).toContain('TMCP_DURABLE_OBJECT');
		expect(code.length).toBeLessThan(MAX_NAME_CHARS);
	});

	it('has one copy of each class, whichever entry it is imported through', async () => {
		project.write(
			'worker.ts',
			`import { env } from 'cloudflare:workers';
			import { SessionManagerError, SYNC_LAYER_NAME } from '${PACKAGE}';
			import { openSocket } from '${PACKAGE}/advanced';
			export { SyncLayer } from '${PACKAGE}';
			export default {
				async fetch() {
					const object = env.TMCP_DURABLE_OBJECT.getByName(SYNC_LAYER_NAME);
					const error = await openSocket(object, { ticket: crypto.randomUUID() }).catch((e) => e);
					return Response.json({ code: error.code, isOurs: error instanceof SessionManagerError });
				},
			};`,
		);
		const config = {
			name: 'entries',
			main: 'worker.ts',
			compatibility_date: '2026-08-01',
			compatibility_flags: ['nodejs_compat'],
			durable_objects: { bindings: [{ name: 'TMCP_DURABLE_OBJECT', class_name: 'SyncLayer' }] },
			exports: { SyncLayer: { type: 'durable-object', storage: 'sqlite' } },
		};
		const configs = [project.write('wrangler.json', JSON.stringify(config))];
		const server = await startDevServer({ configs });
		onTestFinished(server.stop);

		const answer: unknown = await (await fetch(server.url)).json();

		expect(answer).toEqual({ code: 'TICKET_REFUSED', isOurs: true });
	});
});
