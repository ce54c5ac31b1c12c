/**
 * `npm run flow`: backlogs for fast and slow readers over TCP, against bare workerd, and the memory that slow clients
 * take. A few minutes.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../examples/quickstart/demo/dev-server.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { localUrlOf } from './local-url.ts';

const MiB = 1024 * 1024;
const SLOW_BYTES_A_SECOND = 200_000;

const CONFIG = `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
	services = [
		(name = "main", worker = .main),
		(name = "disk", disk = (path = "DISK", writable = true)),
	],
	sockets = [(name = "http", address = "127.0.0.1:PORT", http = (), service = "main")],
);
const main :Workerd.Worker = (
	modules = [(name = "worker", esModule = embed "worker.js")],
	compatibilityDate = "2026-08-01",
	compatibilityFlags = ["nodejs_compat"],
	durableObjectNamespaces = [(className = "SyncLayer", uniqueKey = "flow", enableSql = true)],
	durableObjectStorage = (localDisk = "disk"),
	bindings = [(name = "TMCP_DURABLE_OBJECT", durableObjectNamespace = "SyncLayer")],
);`;

/** The resident memory of a process, in MiB. */
function rss(pid: number): number {
	const [, kB = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
	return Math.round(Number(kB) / 1024);
}

async function freePort(): Promise<number> {
	const server = createServer();
	await once(server.listen(0, '127.0.0.1'), 'listening');
	const { port } = localUrlOf(server);
	server.close();
	return Number(port);
}

/** Bare workerd, with storage of its own. */
async function startWorkerd() {
	const directory = mkdtempSync(join(tmpdir(), 'flow-'));
	const port = await freePort();
	execFileSync(join(ROOT, 'node_modules/.bin/esbuild'), [
		join(ROOT, 'test/e2e/workers/flow/worker.ts'),
		'--bundle',
		'--format=esm',
		'--external:cloudflare:*',
		'--external:node:*',
		`--tsconfig=${join(ROOT, 'tsconfig.json')}`,
		`--outfile=${join(directory, 'worker.js')}`,
		'--log-level=warning',
	]);
	const disk = mkdtempSync(join(directory, 'disk-'));
	const config = join(directory, 'config.capnp');
	writeFileSync(config, CONFIG.replace('DISK', disk).replace('PORT', String(port)));
	const workerd = spawn(join(ROOT, 'node_modules/.bin/workerd'), ['serve', config], {
		stdio: ['ignore', 'inherit', 'inherit'],
	});
	process.once('exit', () => workerd.kill('SIGKILL'));
	const url = new URL(`http://127.0.0.1:${port}`);
	await waitFor('workerd', 20_000, () =>
		fetch(url, { method: 'POST' }).then(
			() => true,
			() => false,
		),
	);
	return {
		url,
		pid: workerd.pid ?? 0,
		async stop() {
			workerd.kill('SIGKILL');
			await once(workerd, 'exit');
			rmSync(directory, { recursive: true, force: true });
		},
	};
}

/** A client that reads so many bytes a second, or none. */
class Reader {
	readonly numbers: number[] = [];
	#socket: Socket;
	#text = '';

	constructor(url: URL, bytesASecond: number) {
		this.#socket = connect(Number(url.port), url.hostname);
		this.#socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n\r\n`);
		this.#socket.setEncoding('latin1').on('data', (text: string) => {
			this.#take(text);
			if (bytesASecond === Infinity) return;
			this.#socket.pause();
			if (bytesASecond === 0) return;
			setTimeout(() => this.#socket.resume(), (text.length / bytesASecond) * 1_000);
		});
	}

	close(): void {
		this.#socket.destroy();
	}

	#take(text: string): void {
		this.#text += text;
		const lines = this.#text.split('\n');
		this.#text = lines.pop() ?? '';
		for (const line of lines) {
			const [, number] = /^data: (\d+) /.exec(line) ?? [];
			if (number !== undefined) this.numbers.push(Number(number));
		}
	}
}

const isWhole = (numbers: readonly number[], count: number) =>
	numbers.length === count && numbers.every((number, index) => number === index);

type Server = Awaited<ReturnType<typeof startWorkerd>>;

function urlOf({ url }: Server, params: Record<string, string | number>): URL {
	return new URL(
		`/?${new URLSearchParams(Object.entries(params).map(([k, v]) => [k, String(v)]))}`,
		url,
	);
}

/** A backlog that one client reads on one connection. */
async function backlog(
	server: Server,
	count: number,
	chars: number,
	bound: number | '',
	speed: number,
) {
	const session = crypto.randomUUID();
	await fetch(urlOf(server, { session, count, chars }), { method: 'POST' });
	const began = performance.now();
	const reader = new Reader(urlOf(server, { session, bound }), speed);
	await waitFor('all messages', 180_000, () => reader.numbers.length >= count).catch(() => {});
	const seconds = (performance.now() - began) / 1_000;
	reader.close();
	return {
		messages: `${count} × ${chars / 1_000} KB`,
		bound: bound === '' ? 'default' : `${bound / 1024} KiB`,
		speed: speed === Infinity ? 'full' : `${speed / 1e6} MB/s`,
		got: reader.numbers.length,
		whole: isWhole(reader.numbers, count),
		seconds: seconds.toFixed(1),
		'MB/s': ((count * chars) / 1e6 / seconds).toFixed(1),
	};
}

async function matrix(): Promise<void> {
	const server = await startWorkerd();
	const cases = [64 * 1024, MiB].flatMap((bound) => [
		{ bound, count: 1_000, chars: 10_000 },
		{ bound, count: 100, chars: 100_000 },
	]);
	const rows = [];
	for (const { count, chars, bound } of cases) {
		rows.push(await backlog(server, count, chars, bound, Infinity));
	}
	// As much as the log keeps by default, less what its rows take beside.
	rows.push(await backlog(server, 1_600, 10_000, '', Infinity));
	await server.stop();
	// Together they are as much as the log keeps, so each has an object of its own.
	const slow = cases.map(async ({ count, chars, bound }) => {
		const own = await startWorkerd();
		const row = await backlog(own, count, chars, bound, SLOW_BYTES_A_SECOND);
		await own.stop();
		return row;
	});
	rows.push(...(await Promise.all(slow)));
	console.table(rows);
	if (rows.some(({ whole }) => !whole)) process.exitCode = 1;
}

/** What workerd holds while many clients that read nothing have the whole log before them. */
async function memory(clients: number, bound: number | ''): Promise<void> {
	const server = await startWorkerd();
	const before = rss(server.pid);
	const readers = Array.from(
		{ length: clients },
		(_, n) => new Reader(urlOf(server, { session: `slow-${n}`, bound }), 0),
	);
	await new Promise((resolve) => setTimeout(resolve, 3_000));
	const open = rss(server.pid);
	let most = open;
	const timer = setInterval(() => (most = Math.max(most, rss(server.pid))), 100);
	await fetch(urlOf(server, { count: 1_600, chars: 10_000, pause: 100 }), { method: 'POST' });
	await new Promise((resolve) => setTimeout(resolve, 10_000));
	clearInterval(timer);
	console.table([{ clients, bound, 'RSS before': before, open, most, after: rss(server.pid) }]);
	for (const reader of readers) reader.close();
	await server.stop();
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const [, , what] = process.argv;
if (what !== 'memory') await matrix();
if (what !== 'matrix') for (const bound of [64 * 1024, ''] as const) await memory(200, bound);
