import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'tsdown';

/** As in `wrangler.jsonc`. */
const COMPATIBILITY = `compatibilityDate = "2026-08-01", compatibilityFlags = ["nodejs_compat"]`;

/** SQLite and KV are on disk, so that they outlive the process. */
const CONFIG = `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
	services = [(name = "main", worker = .main), (name = "kv", worker = .kv), (name = "disk", disk = .disk)],
	sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const disk :Workerd.DiskDirectory = (path = "DIRECTORY/disk", writable = true);

const main :Workerd.Worker = (
	modules = [(name = "index.js", esModule = embed "index.js")],
	${COMPATIBILITY},
	durableObjectNamespaces = [
		(className = "CrashingSyncLayer", uniqueKey = "sync-layer", enableSql = true),
	],
	durableObjectStorage = (localDisk = "disk"),
	bindings = [
		(name = "TMCP_DURABLE_OBJECT", durableObjectNamespace = "CrashingSyncLayer"),
		(name = "TMCP_SESSION_INFO", kvNamespace = "kv"),
	],
);

const kv :Workerd.Worker = (
	modules = [(name = "kv.js", esModule = embed "kv.js")],
	${COMPATIBILITY},
	durableObjectNamespaces = [(className = "KVStore", uniqueKey = "kv", enableSql = true)],
	durableObjectStorage = (localDisk = "disk"),
	bindings = [(name = "STORE", durableObjectNamespace = "KVStore")],
);
`;

/** The Worker, ready to be served by bare workerd, in a folder that is removed with this process. */
export class Installation {
	/** The binary that wrangler brings. */
	readonly binary = findWorkerd();
	readonly directory = mkdtempSync(join(tmpdir(), 'crash-'));
	readonly config = join(this.directory, 'config.capnp');
	#onExit = () => this.remove();

	private constructor() {
		process.on('exit', this.#onExit);
	}

	static async make(): Promise<Installation> {
		const installation = new Installation();
		const { directory, config } = installation;
		mkdirSync(join(directory, 'disk'));
		writeFileSync(config, CONFIG.replace('DIRECTORY', directory));
		for (const name of ['index', 'kv']) await bundle(name, directory);
		return installation;
	}

	remove(): void {
		process.off('exit', this.#onExit);
		rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
	}
}

/** One module of the Worker, with all that it imports, as `embed` takes it. */
async function bundle(name: string, directory: string): Promise<void> {
	await build({
		config: false,
		entry: { [name]: join(import.meta.dirname, 'worker', `${name}.ts`) },
		outDir: directory,
		clean: false,
		dts: false,
		format: 'esm',
		target: 'es2024',
		// Neutral would not find packages that have only a `main`.
		platform: 'browser',
		external: [/^(cloudflare|node):/],
		noExternal: [/^(?!cloudflare:|node:)/],
		inlineOnly: false,
		outputOptions: { codeSplitting: false },
		outExtensions: () => ({ js: '.js' }),
		logLevel: 'error',
	});
}

/** It belongs to wrangler, so it is looked for from there. */
function findWorkerd(): string {
	const wrangler = createRequire(import.meta.url).resolve('wrangler/package.json');
	const path: unknown = createRequire(wrangler)('workerd');
	if (typeof path === 'object' && path !== null && 'default' in path) return String(path.default);
	throw new Error('The package workerd does not say where its binary is.');
}
