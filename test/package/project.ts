import { execFileSync } from 'node:child_process';
import {
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
export const PACKAGE = '@tmcp/session-manager-durable-objects';

/**
 * A project outside of the repository that has installed the package as npm would publish it, with its dependencies. Where
 * other packages are installed beside it, they are those of the repository.
 */
export class Project {
	readonly directory = mkdtempSync(join(tmpdir(), 'project-'));
	/** The file that npm would publish. */
	readonly tarball: string;
	/** Where the package is installed. */
	readonly package = join(this.directory, 'node_modules', PACKAGE);

	/** @param installed names of packages that the project has installed as well */
	constructor(installed: readonly string[] = []) {
		execFileSync('npm', ['pack', '--pack-destination', this.directory], {
			cwd: ROOT,
			stdio: 'pipe',
		});
		const [tarball = ''] = readdirSync(this.directory);
		this.tarball = join(this.directory, tarball);
		mkdirSync(this.package, { recursive: true });
		execFileSync('tar', ['-xzf', tarball, '-C', this.package, '--strip-components=1'], {
			cwd: this.directory,
		});
		for (const name of new Set([...this.dependencies, ...installed])) {
			const link = join(this.directory, 'node_modules', name);
			mkdirSync(dirname(link), { recursive: true });
			if (name !== PACKAGE) symlinkSync(join(ROOT, 'node_modules', name), link);
		}
		this.write('package.json', JSON.stringify({ type: 'module' }));
	}

	/** The packages that npm installs along with the package. */
	get dependencies(): string[] {
		const manifest: Record<
			'dependencies' | 'peerDependencies',
			Record<string, string>
		> = JSON.parse(this.readPackage('package.json'));
		return Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
	}

	/** A file of the package. */
	readPackage(path: string): string {
		return readFileSync(join(this.package, path), 'utf8');
	}

	/** Write a file of the project. @returns its absolute path */
	write(path: string, text: string): string {
		const file = join(this.directory, path);
		mkdirSync(dirname(file), { recursive: true });
		writeFileSync(file, text);
		return file;
	}

	remove(): void {
		rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
	}
}
