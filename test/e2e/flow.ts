/**
 * `npm run flow`: backlogs for fast and slow readers over TCP, against bare workerd, and the memory that slow clients
 * take, and what 3 × 1,000 elicitations leave of it. A few minutes. `npm run flow matrix`, `memory` or `asking 3`: one of these.
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
	v8Flags = [V8_FLAGS],
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

/** Memory is not collected before it is short: with a small heap, what grows is no garbage. */
const SMALL_HEAP = '"--max-old-space-size=48", "--max-semi-space-size=2"';

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
async function startWorkerd(worker: 'worker' | 'asking' = 'worker') {
	const directory = mkdtempSync(join(tmpdir(), 'flow-'));
	const port = await freePort();
	execFileSync(join(ROOT, 'node_modules/.bin/esbuild'), [
		join(ROOT, `test/e2e/workers/flow/${worker}.ts`),
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
	writeFileSync(
		config,
		CONFIG.replace('V8_FLAGS', worker === 'asking' ? SMALL_HEAP : '')
			.replace('DISK', disk)
			.replace('PORT', String(port)),
	);
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

interface Message {
	id?: string | number;
	method?: string;
	result?: { content?: { text: string }[] };
}

/** A session whose client answers each elicitation at once. */
class AskedClient {
	#url: URL;
	#session: string;

	private constructor(url: URL, session: string) {
		this.#url = url;
		this.#session = session;
	}

	static async begin(server: Server): Promise<AskedClient> {
		const url = new URL('/mcp', server.url);
		const client = new AskedClient(url, '');
		const params = {
			protocolVersion: '2025-06-18',
			capabilities: { elicitation: {} },
			clientInfo: { name: 'flow', version: '1' },
		};
		const response = await client.#post({ id: 1, method: 'initialize', params });
		await response.text();
		return new AskedClient(url, response.headers.get('mcp-session-id') ?? '');
	}

	/** @returns how many of its answers the tool got */
	async ask(times: number): Promise<number> {
		const params = { name: 'ask', arguments: { times } };
		const response = await this.#post({ id: 2, method: 'tools/call', params });
		let text = '';
		for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
			const events = (text + chunk).split('\n\n');
			text = events.pop() ?? '';
			for (const event of events) {
				const data = event.split('\n').find((line) => line.startsWith('data: {'));
				if (data === undefined) continue;
				const { id, method, result }: Message = JSON.parse(data.slice('data: '.length));
				if (method === undefined) return Number(result?.content?.[0]?.text);
				await this.#post({ id, result: { action: 'accept', content: { name: 'Ada' } } });
			}
		}
		return 0;
	}

	async end(): Promise<void> {
		const headers = { 'mcp-session-id': this.#session };
		await fetch(this.#url, { method: 'DELETE', headers });
	}

	#post(message: object): Promise<Response> {
		return fetch(this.#url, {
			method: 'POST',
			headers: {
				'content-type': 'application/json',
				accept: 'application/json, text/event-stream',
				...(this.#session && { 'mcp-session-id': this.#session }),
			},
			body: JSON.stringify({ jsonrpc: '2.0', ...message }),
		});
	}
}

const ASKING_CLIENTS = 10;
const QUESTIONS = 1_000;

/** What workerd holds after so many elicitations, in several sessions at a time, in MiB. */
async function asking(rounds: number): Promise<void> {
	const server = await startWorkerd('asking');
	const rows = [];
	for (let round = 0; round <= rounds; round++) {
		const began = performance.now();
		const clients = await Promise.all(
			Array.from({ length: ASKING_CLIENTS }, () => AskedClient.begin(server)),
		);
		// The first round warms it up.
		const questions = (round === 0 ? QUESTIONS / 10 : QUESTIONS) / ASKING_CLIENTS;
		const answered = await Promise.all(clients.map((client) => client.ask(questions)));
		await Promise.all(clients.map((client) => client.end()));
		const seconds = ((performance.now() - began) / 1_000).toFixed(1);
		await new Promise((resolve) => setTimeout(resolve, 2_000));
		const total = answered.reduce((sum, count) => sum + count, 0);
		rows.push({ round, elicitations: total, seconds, RSS: rss(server.pid) });
		if (total !== questions * ASKING_CLIENTS) process.exitCode = 1;
	}
	console.table(rows);
	await server.stop();
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const [, , what, rounds = '3'] = process.argv;
const isAsked = (name: string) => what === undefined || what === name;
if (isAsked('matrix')) await matrix();
if (isAsked('memory')) for (const bound of [64 * 1024, ''] as const) await memory(200, bound);
if (isAsked('asking')) await asking(Number(rounds));
