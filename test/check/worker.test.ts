import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { checkWorker } from '../../src/check/worker.ts';

const root = resolve(import.meta.dirname, '../..');

const CONFIGURATION = {
	name: 'checked',
	main: 'worker.ts',
	compatibility_date: '2026-08-01',
	compatibility_flags: ['nodejs_compat'],
	durable_objects: { bindings: [{ name: 'TMCP_DURABLE_OBJECT', class_name: 'SyncLayer' }] },
	exports: { SyncLayer: { type: 'durable-object', storage: 'sqlite' } },
};

/** A directory in the repository, from which wrangler is found. */
function directoryWith(files: Record<string, string>): string {
	const directory = mkdtempSync(join(root, 'node_modules/.check-'));
	onTestFinished(() => rmSync(directory, { recursive: true }));
	for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
	return directory;
}

async function codes(files: Record<string, string>): Promise<string[]> {
	const problems = await checkWorker({ directory: directoryWith(files) });
	return problems.map(({ code }) => code);
}

const wrangler = (changes: object = {}) => JSON.stringify({ ...CONFIGURATION, ...changes });
const OBJECT = "export { SyncLayer } from '@tmcp/session-manager-durable-objects';";

it.each(['examples/unit-test', '.', 'examples/second-worker'])(
	'nothing is wrong with the Worker in %s',
	async (directory) => {
		expect(await checkWorker({ directory: join(root, directory) })).toEqual([]);
	},
);

it('a class is found that a module of the Worker exports for it', async () => {
	const files = {
		'wrangler.json': wrangler(),
		'worker.ts': "import page from './page.html'; export * from './object'; export default page;",
		'object.ts': OBJECT,
	};
	expect(await codes(files)).toEqual([]);
});

it('whoever exports all of a package is believed', async () => {
	const worker = "export * from '@tmcp/session-manager-durable-objects'; export default {};";
	expect(await codes({ 'wrangler.json': wrangler(), 'worker.ts': worker })).toEqual([]);
});

it('a class that is not exported is told, whatever else is wrong', async () => {
	const files = {
		'wrangler.json': wrangler({ compatibility_flags: [] }),
		'worker.ts': 'export default {};',
	};
	expect(await codes(files)).toEqual(['CLASS_NOT_EXPORTED', 'NODEJS_COMPAT_MISSING']);
});

it('TOML and an environment are read', async () => {
	const toml = `name = "checked"
main = "worker.ts"
compatibility_date = "2026-08-01"
[env.staging]
compatibility_flags = ["nodejs_compat"]
[[env.staging.durable_objects.bindings]]
name = "TMCP_DURABLE_OBJECT"
class_name = "SyncLayer"
[[env.staging.migrations]]
tag = "v1"
new_classes = ["SyncLayer"]
`;
	const directory = directoryWith({ 'wrangler.toml': toml, 'worker.ts': OBJECT });
	const told = async (env?: string) =>
		(await checkWorker({ directory, env })).map(({ code }) => code);

	expect(await told()).toEqual(['BINDING_MISSING', 'NODEJS_COMPAT_MISSING']);
	expect(await told('staging')).toEqual(['SQLITE_MISSING']);
});

it('an entry that cannot be read is told beside the rest', async () => {
	expect(await codes({ 'wrangler.json': wrangler({ exports: {} }) })).toEqual([
		'ENTRY_UNREADABLE',
		'CLASS_NOT_DECLARED',
	]);
	expect(
		await codes({ 'wrangler.json': wrangler({ main: undefined }), 'worker.ts': OBJECT }),
	).toEqual(['ENTRY_UNREADABLE']);
});

it('what wrangler does not take is told in its own words', async () => {
	const migrations = [{ tag: 'v1', new_sqlite_classes: ['SyncLayer'] }];
	const directory = directoryWith({ 'wrangler.json': wrangler({ migrations }) });
	expect(await checkWorker({ directory })).toEqual([
		{
			code: 'CONFIGURATION_UNREADABLE',
			message: expect.stringContaining('`migrations` and `exports` are mutually exclusive'),
		},
	]);
});

it('a missing configuration, and a missing wrangler, are told', async () => {
	const directory = mkdtempSync(join(tmpdir(), 'check-'));
	onTestFinished(() => rmSync(directory, { recursive: true }));
	const message = async () => (await checkWorker({ directory }))[0]?.message;

	expect(await message()).toMatch(/^CONFIGURATION_UNREADABLE: there is none of wrangler.json, /);
	writeFileSync(join(directory, 'wrangler.json'), wrangler());
	expect(await message()).toMatch(/^CONFIGURATION_UNREADABLE: wrangler is not installed .*npm i/);
});

it('the command prints the list, and says with its status whether anything is wrong', () => {
	const command = (...args: string[]) =>
		spawnSync(process.execPath, [join(root, 'src/check/cli.ts'), ...args], {
			cwd: root,
			encoding: 'utf8',
		});

	const wrong = command('--binding', 'STREAMS', '--path', '/elsewhere');
	expect(wrong.stderr).toMatch(/^- BINDING_MISSING: .*"STREAMS".*#binding_missing\n1 wrong\.\n$/);
	expect(wrong.status).toBe(1);
	const misused = command('--info', 'redis');
	expect(misused.stderr).toMatch(/^TypeError: --info is kv or object, not redis\n/);
	expect(misused.status).toBe(2);
});
