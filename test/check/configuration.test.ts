import { describe, expect, it } from 'vitest';
import {
	checkConfiguration,
	type CheckOptions,
	type WorkerConfiguration,
} from '../../src/check/configuration.ts';
import { OLDEST, PLATFORMS } from '../e2e/platforms.ts';

/** That of the README's first Worker. */
const RIGHT: WorkerConfiguration = {
	compatibility_date: '2026-08-01',
	compatibility_flags: ['nodejs_compat'],
	durable_objects: { bindings: [{ name: 'TMCP_DURABLE_OBJECT', class_name: 'SyncLayer' }] },
	exports: { SyncLayer: { type: 'durable-object', storage: 'sqlite' } },
};

const bindings = (...names: string[]) => names.map((binding) => ({ binding }));

interface Wrong {
	what: string;
	config: WorkerConfiguration;
	options?: CheckOptions;
	/** What the list says, in its order. */
	says: RegExp[];
}

const WRONG: Wrong[] = [
	{
		what: 'without the binding',
		config: { ...RIGHT, durable_objects: { bindings: [] } },
		says: [/^BINDING_MISSING: .*"TMCP_DURABLE_OBJECT".*"class_name": "SyncLayer"/],
	},
	{
		what: 'whose binding has another name',
		config: RIGHT,
		options: { binding: 'STREAMS' },
		says: [/^BINDING_MISSING: .*"STREAMS".*"name": "STREAMS"/],
	},
	{
		what: 'that binds a KV namespace where the object should be',
		config: {
			...RIGHT,
			durable_objects: { bindings: [] },
			kv_namespaces: bindings('TMCP_DURABLE_OBJECT'),
		},
		says: [/^BINDING_WRONG_KIND: .*bound to a KV namespace, not to a Durable Object namespace/],
	},
	{
		what: 'that has a variable of the name',
		config: { ...RIGHT, vars: { TMCP_SESSION_INFO: 'x' } },
		options: { info: 'kv' },
		says: [
			/^BINDING_WRONG_KIND: "TMCP_SESSION_INFO" is bound to a variable, not to a KV namespace/,
		],
	},
	{
		what: "without KV, with info 'kv'",
		config: RIGHT,
		options: { info: 'kv' },
		says: [/^BINDING_MISSING: .*"kv_namespaces": \[\{ "binding": "TMCP_SESSION_INFO" \}\]/],
	},
	{
		what: 'whose class is not declared',
		config: { ...RIGHT, exports: {} },
		says: [/^CLASS_NOT_DECLARED: .*"exports": \{ "SyncLayer"/],
	},
	{
		what: 'whose class is missing among its migrations',
		config: { ...RIGHT, exports: {}, migrations: [{ new_sqlite_classes: ['Other'] }] },
		says: [/^CLASS_NOT_DECLARED: .*"new_sqlite_classes": \["SyncLayer"\] \} as the last of "migr/],
	},
	{
		what: 'whose class was deleted',
		config: {
			...RIGHT,
			exports: {},
			migrations: [{ new_sqlite_classes: ['SyncLayer'] }, { deleted_classes: ['SyncLayer'] }],
		},
		says: [/^CLASS_NOT_DECLARED: /],
	},
	{
		what: 'with new_classes',
		config: { ...RIGHT, exports: {}, migrations: [{ new_classes: ['SyncLayer'] }] },
		says: [/^SQLITE_MISSING: .*new_sqlite_classes/],
	},
	{
		what: 'with new_classes under an older name',
		config: {
			...RIGHT,
			exports: {},
			migrations: [
				{ new_classes: ['Sync'] },
				{ renamed_classes: [{ from: 'Sync', to: 'SyncLayer' }] },
			],
		},
		says: [/^SQLITE_MISSING: /],
	},
	{
		what: 'with legacy storage',
		config: { ...RIGHT, exports: { SyncLayer: { type: 'durable-object', storage: 'legacy-kv' } } },
		says: [/^SQLITE_MISSING: /],
	},
	{
		what: 'whose entry does not export the class',
		config: RIGHT,
		options: { exported: ['default'] },
		says: [/^CLASS_NOT_EXPORTED: .*export \{ SyncLayer \} from/],
	},
	{
		what: 'whose entry does not export the class under its name',
		config: {
			...RIGHT,
			durable_objects: { bindings: [{ name: 'TMCP_DURABLE_OBJECT', class_name: 'Mine' }] },
			exports: { Mine: { type: 'durable-object', storage: 'sqlite' } },
		},
		options: { exported: ['default', 'SyncLayer'] },
		says: [/^CLASS_NOT_EXPORTED: .*export \{ SyncLayer as Mine \} from/],
	},
	{
		what: 'without a compatibility date',
		config: { ...RIGHT, compatibility_date: undefined },
		says: [/^COMPATIBILITY_DATE_TOO_OLD: .*is missing/],
	},
	{
		what: 'that is too old, and without flags',
		config: { ...RIGHT, compatibility_date: '2023-10-01', compatibility_flags: [] },
		says: [
			new RegExp(`^COMPATIBILITY_DATE_TOO_OLD: .*2023-10-01 is too old: .*${OLDEST.date}`),
			/^NODEJS_COMPAT_MISSING: .*"compatibility_flags": \["nodejs_compat"\]/,
		],
	},
	{
		what: 'whose routes lead past the server',
		config: { ...RIGHT, routes: ['example.com/api/*', { pattern: 'example.com/mc' }] },
		says: [/^PATH_NOT_ROUTED: .*\/mcp/],
	},
	{
		what: 'with everything wrong',
		config: { durable_objects: { bindings: [] }, route: 'example.com/x' },
		options: { info: 'kv' },
		says: [
			/^BINDING_MISSING: /,
			/^BINDING_MISSING: /,
			/^COMPATIBILITY_DATE_TOO_OLD: /,
			/^NODEJS_COMPAT_MISSING: /,
			/^PATH_NOT_ROUTED: /,
		],
	},
];

describe('the configuration', () => {
	it.each(WRONG)('$what is told in one list', ({ config, options, says }) => {
		const problems = checkConfiguration(config, options);

		expect(problems).toHaveLength(says.length);
		for (const [index, { code, message }] of problems.entries()) {
			expect(message).toMatch(says[index] ?? '');
			expect(message.startsWith(`${code}: `)).toBe(true);
			expect(message.endsWith(`/docs/errors.md#${code.toLowerCase()}`)).toBe(true);
		}
	});

	const right: { what: string; config: WorkerConfiguration; options?: CheckOptions }[] = [
		{ what: 'of the README', config: RIGHT, options: { exported: ['SyncLayer', 'default'] } },
		{
			what: 'with KV',
			config: { ...RIGHT, kv_namespaces: bindings('TMCP_SESSION_INFO') },
			options: { info: 'kv' },
		},
		{
			what: 'with migrations',
			config: { ...RIGHT, exports: {}, migrations: [{ new_sqlite_classes: ['SyncLayer'] }] },
		},
		{
			what: 'whose class another Worker has',
			config: {
				...RIGHT,
				durable_objects: {
					bindings: [{ name: 'TMCP_DURABLE_OBJECT', class_name: 'SyncLayer', script_name: 'bell' }],
				},
				exports: {},
				compatibility_flags: [],
				routes: ['example.com/api/*'],
			},
			options: { exported: [], path: '/elsewhere' },
		},
		...[
			['example.com/*'],
			['example.com/mcp'],
			['https://*.example.com/m*'],
			['example.com*'],
			[{ pattern: 'example.com', custom_domain: true }],
			['example.com/api/*', 'example.com/mcp*'],
		].map((routes) => ({
			what: `with the routes ${JSON.stringify(routes)}`,
			config: { ...RIGHT, routes },
		})),
		{
			what: 'on workers.dev beside its routes',
			config: { ...RIGHT, routes: ['example.com/api/*'], workers_dev: true },
		},
		{
			what: 'of a server at all paths',
			config: { ...RIGHT, routes: ['example.com/api/*'] },
			options: { path: null },
		},
		...PLATFORMS.map(({ date, flags }) => ({
			what: `with the date ${date} and the flags [${flags.join()}]`,
			config: { ...RIGHT, compatibility_date: date, compatibility_flags: flags },
		})),
	];

	it.each(right)('$what has nothing wrong', ({ config, options }) => {
		expect(checkConfiguration(config, options)).toEqual([]);
	});
});
