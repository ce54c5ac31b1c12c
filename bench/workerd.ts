import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { fromWrangler } from './from-wrangler.ts';

const START_LIMIT_MS = 20_000;

/** Plenty for SQLite and connections: within one process both ends of a stream are memory, not files. */
const FILES = 1_000;

const Package = v.object({ default: v.string(), version: v.string() });

/** The binary that wrangler runs. */
export const workerd = v.parse(Package, fromWrangler('workerd'));

const config = (
	variables: Record<string, string>,
) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
	services = [
		( name = "worker", worker = .worker ),
		( name = "disk", disk = ( writable = true ) ),
	],
	sockets = [ ( name = "http", address = "127.0.0.1:0", http = (), service = "worker" ) ],
);
const worker :Workerd.Worker = (
	modules = [ ( name = "worker.js", esModule = embed "worker.js" ) ],
	compatibilityDate = "2026-08-01",
	compatibilityFlags = [ "nodejs_compat" ],
	bindings = [
		( name = "TMCP_DURABLE_OBJECT", durableObjectNamespace = "SyncLayer" ),
${Object.entries(variables)
	.map(([name, text]) => `\t\t( name = "${name}", text = "${text}" ),`)
	.join('\n')}
	],
	durableObjectNamespaces = [ ( className = "SyncLayer", uniqueKey = "bench", enableSql = true ) ],
	durableObjectStorage = ( localDisk = "disk" ),
);
`;

const PortSchema = v.variant('event', [
	v.object({ event: v.literal('listen'), port: v.number() }),
	v.object({ event: v.literal('listen-inspector'), port: v.number() }),
]);

/** What runs at this moment: it does not end by itself when this process does. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
	for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
	process.once(signal, () => process.exit(1));

interface Ports {
	http: number;
	inspector: number | undefined;
}

/** A fresh workerd, without wrangler or Miniflare around it, with an empty SQLite on disk. */
export class WorkerdProcess {
	#child: ChildProcess;
	#folder: string;
	#ports: Ports;

	private constructor(child: ChildProcess, folder: string, ports: Ports) {
		this.#child = child;
		this.#folder = folder;
		this.#ports = ports;
	}

	/** Of the Worker. */
	get port(): number {
		return this.#ports.http;
	}

	/** `undefined` where none was asked for. */
	get inspectorPort(): number | undefined {
		return this.#ports.inspector;
	}

	/** @param variables text bindings of the Worker */
	static async start(
		bundle: string,
		hasInspector: boolean,
		variables: Record<string, string> = {},
	): Promise<WorkerdProcess> {
		const folder = await mkdtemp(join(tmpdir(), 'bench-'));
		try {
			await mkdir(join(folder, 'disk'));
			await copyFile(bundle, join(folder, 'worker.js'));
			await writeFile(join(folder, 'config.capnp'), config(variables));
			const { child, ports } = await serve(folder, hasInspector);
			return new WorkerdProcess(child, folder, ports);
		} catch (error) {
			await rm(folder, { recursive: true, force: true, maxRetries: 3 });
			throw error;
		}
	}

	/** SIGKILL. Resolves when the process is gone. */
	async kill(): Promise<void> {
		if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
		this.#child.kill('SIGKILL');
		await once(this.#child, 'exit');
	}

	/** After {@link kill}: another process on the same disk, on another port. */
	async startAgain(): Promise<void> {
		const { child, ports } = await serve(this.#folder, this.inspectorPort !== undefined);
		this.#child = child;
		this.#ports = ports;
	}

	/** Memory that is resident, in bytes. */
	async residentBytes(): Promise<number> {
		const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', `${this.#child.pid}`]);
		return Number(stdout) * 1024;
	}

	/** CPU time of all threads that live, in milliseconds. Linux only. */
	async cpuMs(): Promise<number> {
		const tasks = `/proc/${this.#child.pid}/task`;
		const times = (await readdir(tasks)).map(async (task) => {
			const [ns] = (await readFile(join(tasks, task, 'schedstat'), 'utf8')).split(' ');
			return Number(ns) / 1e6;
		});
		return (await Promise.all(times)).reduce((sum, ms) => sum + ms, 0);
	}

	async stop(): Promise<void> {
		await this.kill();
		await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
	}
}

/** How many files a process may have open. */
export async function fileLimit(): Promise<number> {
	const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -Hn']);
	const limit = stdout.trim();
	return limit === 'unlimited' ? Infinity : Number(limit);
}

/** @throws where the operating system allows too few open files */
export async function assertEnoughFiles(): Promise<void> {
	const limit = await fileLimit();
	if (limit >= FILES) return;
	throw new Error(`A process may open ${limit} files; workerd needs ${FILES}: raise ulimit -Hn.`);
}

async function serve(
	folder: string,
	hasInspector: boolean,
): Promise<{ child: ChildProcess; ports: Ports }> {
	const inspector = hasInspector ? ['--inspector-addr=127.0.0.1:0'] : [];
	const child = spawn(
		'sh',
		[
			'-c',
			'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"',
			workerd.default,
			'serve',
			join(folder, 'config.capnp'),
			`--directory-path=disk=${join(folder, 'disk')}`,
			'--control-fd=3',
			...inspector,
		],
		// What the peer logs at each DELETE is part of its cost; nobody needs to read it.
		{ stdio: ['ignore', 'ignore', 'ignore', 'pipe'] },
	);
	running.add(child);
	child.once('exit', () => running.delete(child));
	try {
		const control = child.stdio[3];
		if (!isReadable(control)) throw new Error('workerd has no control channel.');
		return { child, ports: await portsOf(child, control, hasInspector) };
	} catch (error) {
		child.kill('SIGKILL');
		throw error;
	}
}

async function portsOf(
	child: ChildProcess,
	control: Readable,
	hasInspector: boolean,
): Promise<Ports> {
	const signal = AbortSignal.timeout(START_LIMIT_MS);
	const ended = once(child, 'exit', { signal }).then(([code]) => {
		throw new Error(`workerd ended with code ${String(code)} before it listened.`);
	});
	ended.catch(() => {});
	return Promise.race([ended, readPorts(control, hasInspector)]);
}

async function readPorts(control: Readable, hasInspector: boolean): Promise<Ports> {
	let http: number | undefined;
	let inspector: number | undefined;
	for await (const line of createInterface({ input: control })) {
		const { event, port } = v.parse(PortSchema, JSON.parse(line));
		if (event === 'listen') http = port;
		else inspector = port;
		if (http !== undefined && (!hasInspector || inspector !== undefined)) break;
	}
	if (http === undefined) throw new Error('workerd does not say where it listens.');
	return { http, inspector };
}

function isReadable(stream: unknown): stream is Readable {
	return typeof stream === 'object' && stream !== null && 'read' in stream;
}
