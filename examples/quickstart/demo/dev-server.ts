import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compatibilityFrom, copyConfigs } from './compatibility.ts';
import { waitFor } from './wait-for.ts';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');

/** How long `wrangler dev` may take to be ready, in milliseconds. */
const START_LIMIT_MS = 50_000;

/** How long it may take to end by itself before it is killed, in milliseconds. */
const STOP_LIMIT_MS = 5_000;

const READY = /Ready on (http:\S+)\s/;

export interface DevServerOptions {
	/** Configuration files, relative to the repository (default `wrangler.jsonc`). The first Worker gets the requests. */
	configs?: readonly string[];
	/** Where it stores things, so that they outlive it (default: a folder that is removed with it). */
	state?: string;
	/** Where it finds the Workers of other servers, and they find its own (default: a folder that no other server looks in). */
	registry?: string;
}

export interface DevServer {
	/** Where it listens: a free port of 127.0.0.1. */
	url: URL;
	/** What it has written since it was ready, standard output and standard error. */
	logs(): string;
	/** End all processes of it and remove what it stored, unless it was told where. */
	stop(): Promise<void>;
}

/**
 * Start the real `wrangler dev` on a free port, with storage and a registry of its own: several can run
 * at once, and none finds what another left behind. It ends with this process.
 *
 * The Workers run at the compatibility date of their configurations, or at that of the environment variables
 * `COMPATIBILITY_DATE` and `COMPATIBILITY_FLAGS` (`npm run dates`).
 */
export async function startDevServer(options: DevServerOptions = {}): Promise<DevServer> {
	const directory = mkdtempSync(join(tmpdir(), 'wrangler-dev-'));
	const { state = join(directory, 'state'), registry = join(directory, 'registry') } = options;
	const own = (options.configs ?? ['wrangler.jsonc']).map((config) => resolve(ROOT, config));
	const compatibility = compatibilityFrom(process.env);
	const configs = compatibility ? copyConfigs(own, compatibility, directory) : own;
	const wrangler = spawn(
		process.execPath,
		[
			WRANGLER,
			'dev',
			...configs.map((config) => `--config=${config}`),
			'--ip=127.0.0.1',
			'--port=0',
			'--inspector-port=0',
			`--persist-to=${state}`,
			'--show-interactive-dev-session=false',
		],
		{
			cwd: ROOT,
			// A process group of its own, so that workerd can be ended with it, and nothing else.
			detached: true,
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {
				...process.env,
				FORCE_COLOR: '0',
				WRANGLER_HIDE_BANNER: 'true',
				WRANGLER_LOG_PATH: join(directory, 'logs'),
				WRANGLER_REGISTRY_PATH: registry,
				WRANGLER_SEND_METRICS: 'false',
			},
		},
	);
	let output = '';
	for (const stream of [wrangler.stdout, wrangler.stderr]) {
		stream.setEncoding('utf8').on('data', (text: string) => {
			output += text;
		});
	}

	/** @returns whether there was a process to get the signal */
	const signal = (name: 'SIGTERM' | 'SIGKILL' | 0): boolean => {
		try {
			return wrangler.pid !== undefined && process.kill(-wrangler.pid, name);
		} catch {
			return false;
		}
	};
	const cleanUp = () => {
		signal('SIGKILL');
		rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
	};
	const stop = async () => {
		signal('SIGTERM');
		await waitFor('wrangler dev to end', STOP_LIMIT_MS, () => !signal(0)).catch(() => {});
		cleanUp();
		process.off('exit', cleanUp);
	};
	process.on('exit', cleanUp);
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
		process.once(name, () => process.exit(1));

	try {
		const url = await waitFor('wrangler dev to be ready', START_LIMIT_MS, () => {
			if (wrangler.exitCode !== null) throw new Error('wrangler dev has ended');
			return READY.exec(output)?.[1];
		});
		const logs = () => output.slice(output.search(READY));
		return { url: new URL(url), logs, stop };
	} catch (error) {
		await stop();
		throw new Error(`wrangler dev did not start. It wrote:\n${output}`, { cause: error });
	}
}
