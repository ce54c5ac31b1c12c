import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseJsonc } from '../../examples/quickstart/demo/compatibility.ts';
import { ROOT } from './project.ts';

/** What the button in the README deploys: a folder that has to be whole by itself. */
const FOLDER = 'examples/unit-test';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const manifest = JSON.parse(read(`${FOLDER}/package.json`));

it('the button leads to the folder in the repository that package.json names', () => {
	const { repository } = JSON.parse(read('package.json'));
	const address = repository.url.replace(/^git\+|\.git$/g, '');
	expect(read('README.md')).toContain(
		`(https://deploy.workers.cloudflare.com/?url=${address}/tree/main/${repository.directory}/${FOLDER})`,
	);
});

it('the folder describes each binding to whoever deploys it', () => {
	const config = parseJsonc(read(`${FOLDER}/wrangler.jsonc`));
	expect(config['durable_objects']).toEqual({
		bindings: Object.keys(manifest.cloudflare.bindings).map((name) => ({
			name,
			class_name: 'SyncLayer',
		})),
	});
	expect(config).not.toHaveProperty('kv_namespaces');
	for (const { description } of Object.values<{ description: string }>(
		manifest.cloudflare.bindings,
	)) {
		expect(description.length).toBeGreaterThan(40);
	}
});

it('the folder installs what its Worker and its test import', () => {
	const modules = ['worker.ts', 'vitest.config.ts', 'worker.test.ts'].map((name) =>
		read(`${FOLDER}/${name}`),
	);
	const imported = modules
		.flatMap((text) => [...text.matchAll(/ from '((?:@[^/']+\/)?[^/']+)/g)].map(([, name]) => name))
		.filter((name) => name !== 'cloudflare:workers');
	const installed = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
	expect(imported.length).toBeGreaterThan(3);
	expect(installed).toEqual(expect.arrayContaining([...imported, 'wrangler']));
});
