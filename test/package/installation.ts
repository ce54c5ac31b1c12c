import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ROOT } from './project.ts';

/** What a user's project has beside the package: of the versions that are installed here, which the caches have already. */
const BESIDE = ['@cloudflare/workers-types', '@tmcp/transport-http', 'tmcp'];

/** How each package manager installs. Scripts are of no use here: none of these packages has one. */
const INSTALL = {
	npm: ['npm', 'install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'],
	pnpm: [join(ROOT, 'node_modules/.bin/pnpm'), 'add', '--prefer-offline', '--ignore-scripts'],
} as const;

/** What a program said, and whether it was content. */
export interface Outcome {
	status: number;
	output: string;
}

/** @throws what the program said, if it was not content */
export function succeeded({ status, output }: Outcome): void {
	if (status !== 0) throw new Error(output);
}

/** An empty project in which a package manager has installed the package from its tarball. */
export class Installation {
	readonly directory = mkdtempSync(join(tmpdir(), 'installation-'));

	async install(manager: keyof typeof INSTALL, tarball: string): Promise<void> {
		this.write('package.json', JSON.stringify({ private: true, type: 'module' }));
		const others = BESIDE.map((name) => `${name}@${versionOf(name)}`);
		const [program, ...args] = INSTALL[manager];
		succeeded(await run(program, [...args, `file:${tarball}`, ...others], this.directory));
		// It is big, and how it is installed is no matter of this package.
		symlinkSync(join(ROOT, 'node_modules/wrangler'), join(this.directory, 'node_modules/wrangler'));
	}

	/** Run a program that a package in this repository has, or one that the project has installed. */
	run(program: string, ...args: string[]): Promise<Outcome> {
		return run(process.execPath, [join(ROOT, 'node_modules', program), ...args], this.directory);
	}

	/** Run a command that the project has installed. */
	runInstalled(command: string, ...args: string[]): Promise<Outcome> {
		return run(join(this.directory, 'node_modules/.bin', command), args, this.directory);
	}

	read(path: string): string {
		return readFileSync(join(this.directory, path), 'utf8');
	}

	write(path: string, text: string): void {
		const file = join(this.directory, path);
		mkdirSync(dirname(file), { recursive: true });
		writeFileSync(file, text);
	}

	remove(): void {
		rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
	}
}

function versionOf(name: string): string {
	const manifest: { version: string } = JSON.parse(
		readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'),
	);
	return manifest.version;
}

function run(program: string, args: string[], cwd: string): Promise<Outcome> {
	const env = {
		...process.env,
		// The Node that runs this, for scripts that ask for `node`.
		PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
		CI: 'true',
		WRANGLER_SEND_METRICS: 'false',
	};
	return new Promise((done) => {
		const child = execFile(program, args, { cwd, env }, (_error, stdout, stderr) => {
			done({ status: child.exitCode ?? -1, output: stdout + stderr });
		});
	});
}
