import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Guard } from './guard.ts';
import type { Installation } from './installation.ts';

/** How long a start may take, in milliseconds. */
const START_LIMIT_MS = 20_000;

/**
 * Below the ports that clients get (from 32,768 on, in Linux): while workerd is down, a client that tries a port of that
 * range now and then gets the very port that it dials, is connected to itself, and takes the port away.
 */
const PORTS = { from: 20_000, below: 30_000 };

/** How often another port is tried where the first one is taken. */
const PORT_TRIES = 5;

/** The process under test. Its port stays the same from start to start. */
export class Workerd {
	readonly url: URL;
	/** How long each start took until it listened, in milliseconds. */
	readonly startsMs: number[] = [];
	/** The newest lines that it wrote to standard error. */
	readonly errors: string[] = [];
	/** How often it wrote each line to standard output. */
	readonly lines = new Map<string, number>();
	/** Rejects when it ends although nobody killed it. */
	readonly crashed: Promise<never>;
	#crash: (error: Error) => void;
	#installation: Installation;
	#guard = new Guard();
	#process: ChildProcess | undefined;
	#onExit = () => void this.#process?.kill('SIGKILL');

	private constructor(installation: Installation, port: number) {
		this.#installation = installation;
		this.url = new URL(`http://127.0.0.1:${port}`);
		const { promise, reject } = Promise.withResolvers<never>();
		this.crashed = promise;
		this.crashed.catch(() => {});
		this.#crash = reject;
		process.on('exit', this.#onExit);
	}

	static async start(installation: Installation): Promise<Workerd> {
		for (let tries = 1; ; tries++) {
			const workerd = new Workerd(installation, randomInt(PORTS.from, PORTS.below));
			try {
				await workerd.start();
				return workerd;
			} catch (error) {
				await workerd.stop();
				if (tries === PORT_TRIES) throw error;
			}
		}
	}

	/** Resolves when it listens. */
	async start(): Promise<void> {
		const { binary, config } = this.#installation;
		const startedAt = performance.now();
		const child = spawn(
			binary,
			['serve', config, 'config', `--socket-addr=http=${this.url.host}`, '--control-fd=3'],
			{ stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
		);
		this.#process = child;
		this.#guard.watch(child.pid);
		const [, stdout, stderr, control] = child.stdio;
		if (!stdout || !stderr || !control || !('read' in control))
			throw new Error('workerd was started without pipes.');
		createInterface(stdout).on('line', (line) => {
			this.lines.set(line, (this.lines.get(line) ?? 0) + 1);
		});
		createInterface(stderr).on('line', (line) => {
			this.errors.push(line);
			if (this.errors.length > 20) this.errors.shift();
		});
		const crashed = once(child, 'exit').then(([code, signal]) => {
			const error = new Error(
				`workerd has ended by itself (${String(code ?? signal)}). It wrote:\n${this.errors.join('\n')}`,
			);
			// Whoever kills it takes it away from here first.
			if (this.#process === child) this.#crash(error);
			throw error;
		});
		crashed.catch(() => {});
		const late = AbortSignal.timeout(START_LIMIT_MS);
		// It writes to this pipe once, when its socket is open.
		await Promise.race([once(control, 'data', { signal: late }), crashed]);
		this.startsMs.push(performance.now() - startedAt);
	}

	/** SIGKILL. Resolves when the process is gone. */
	async kill(): Promise<void> {
		const child = this.#process;
		this.#process = undefined;
		if (!child || child.exitCode !== null || child.signalCode !== null) return;
		child.kill('SIGKILL');
		await once(child, 'exit');
		this.#guard.watch(undefined);
	}

	/** Stop it for a while (SIGSTOP, SIGCONT). */
	async pause(ms: number): Promise<void> {
		const child = this.#process;
		child?.kill('SIGSTOP');
		await new Promise((resolve) => setTimeout(resolve, ms));
		// A child that was killed meanwhile takes no signal.
		child?.kill('SIGCONT');
	}

	/** End it for good. */
	async stop(): Promise<void> {
		await this.kill();
		this.#guard.stop();
		process.off('exit', this.#onExit);
	}
}
