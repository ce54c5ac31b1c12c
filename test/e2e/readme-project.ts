import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { Project, ROOT } from '../package/project.ts';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** The first block of code of this language in the page (default: the README) after these words. */
export function shown(language: 'ts' | 'jsonc', after: string, page = 'README.md'): string {
	const [, ...rest] = readFileSync(join(ROOT, page), 'utf8').split(after);
	const [, code] = rest.join(after).split(`\`\`\`${language}\n`);
	if (code === undefined) throw new Error(`${page} shows no ${language} after ${after}.`);
	return code.slice(0, code.indexOf('```'));
}

/** What the README says has to be installed. */
function installed(): string[] {
	const [, names = ''] = /^npm install (@tmcp\/.*)$/m.exec(README) ?? [];
	return names.split(' ');
}

/** A project of somebody who did what the README says, outside of the repository: its first Worker, and what it installs. */
export class ReadmeProject extends Project {
	/** The Worker as the README shows it. */
	readonly worker = shown('ts', 'examples/unit-test/worker.ts');
	/** Its configuration as the README shows it. */
	readonly configuration = shown('jsonc', 'examples/unit-test/wrangler.jsonc');
	#state = join(this.directory, 'state');

	/** @param others packages that are installed beside those that the README names */
	constructor(others: readonly string[] = []) {
		super([...installed(), ...others]);
	}

	/** Start `wrangler dev`. What it stores is still there at the next start. */
	start(worker = this.worker, configuration = this.configuration): Promise<DevServer> {
		this.write('worker.ts', worker);
		const configs = [this.write('wrangler.jsonc', configuration)];
		return startDevServer({ configs, state: this.#state });
	}
}
