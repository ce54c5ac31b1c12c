import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { Compatibility } from '../../examples/quickstart/demo/compatibility.ts';
import { NEWEST, PLATFORMS } from '../e2e/platforms.ts';

const root = resolve(import.meta.dirname, '../..');

/** What workerd says of a Worker with this date and these flags; nothing where it takes them. */
function objections({ date, flags }: Compatibility): string {
	const directory = mkdtempSync(join(tmpdir(), 'workerd-'));
	onTestFinished(() => rmSync(directory, { recursive: true }));
	const config = join(directory, 'config.capnp');
	writeFileSync(
		config,
		`using Workerd = import "/workerd/workerd.capnp";
		const config :Workerd.Config = (services = [(name = "main", worker = (
			modules = [(name = "main.js", esModule = "export default { test() {} }")],
			compatibilityDate = "${date}",
			compatibilityFlags = ${JSON.stringify(flags)},
		))]);`,
	);
	const workerd = join(root, 'node_modules/.bin/workerd');
	return spawnSync(workerd, ['test', config], { encoding: 'utf8' }).stderr;
}

it('the newest date that is supported is the newest that the installed workerd takes', () => {
	expect(objections({ date: '2999-12-31', flags: [] })).toContain(
		`the newest date supported by this server binary is "${NEWEST.date}"`,
	);
});

it.each(PLATFORMS)(
	'workerd knows the flags of $date ($flags), and none is superfluous',
	(platform) => {
		expect(objections(platform)).not.toMatch(/compatibility/i);
	},
);

it('docs/platforms.md lists what is supported as it is tested', () => {
	const page = readFileSync(join(root, 'docs/platforms.md'), 'utf8');
	const rows = [...page.matchAll(/^\| (\d{4}-\d\d-\d\d) \| (.*?) \|/gm)].map(
		([, date, flags = '']) => ({ date, flags: [...flags.matchAll(/`(\w+)`/g)].map(([, f]) => f) }),
	);
	expect(rows).toEqual(PLATFORMS);
});
