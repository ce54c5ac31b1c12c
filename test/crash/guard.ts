import { spawn } from 'node:child_process';

/** Reads process ids, one a line, and when its input ends kills the last one, if it is not empty. */
const SCRIPT =
	'trap "" INT TERM HUP; while read -r line; do pid=$line; done; [ -z "$pid" ] || kill -9 "$pid"';

/**
 * Kills a process when this one is gone, however it went: after a SIGKILL nothing in here runs any more, but the pipe to
 * this guard closes.
 */
export class Guard {
	#shell = spawn('/bin/sh', ['-c', SCRIPT], {
		detached: true,
		stdio: ['pipe', 'ignore', 'ignore'],
	});

	constructor() {
		this.#shell.unref();
	}

	/** @param pid the process to kill; `undefined` for none */
	watch(pid: number | undefined): void {
		this.#shell.stdin.write(`${pid ?? ''}\n`);
	}

	/** There is nothing to guard any more. */
	stop(): void {
		this.#shell.stdin.end('\n');
	}
}
