/**
 * What can be wrong with the configuration of a Worker: for a test of one's own.
 *
 * @module check/configuration
 */

import { pageOf } from '../errors.ts';
import {
	classDeclaration,
	kvConfiguration,
	syncLayerConfiguration,
} from '../wire/binding-configuration.ts';

/** All that can be wrong with the configuration of a Worker, by its stable name. */
export const CONFIGURATION_PROBLEM_CODES = [
	/** wrangler is not installed, or does not take the configuration. */
	'CONFIGURATION_UNREADABLE',
	/** The module that `main` names cannot be read, so its exports are not known. */
	'ENTRY_UNREADABLE',
	/** There is no binding of the name. */
	'BINDING_MISSING',
	/** The name is bound to something else. */
	'BINDING_WRONG_KIND',
	/** The bound class is declared neither in `exports` nor in `migrations`. */
	'CLASS_NOT_DECLARED',
	/** The Worker's entry does not export the bound class. */
	'CLASS_NOT_EXPORTED',
	/** The bound class was made without SQLite (`new_classes`). */
	'SQLITE_MISSING',
	/** The compatibility date is missing, or older than the oldest that is tested. */
	'COMPATIBILITY_DATE_TOO_OLD',
	/** `node:async_hooks`, which `HttpTransport` needs, is off. */
	'NODEJS_COMPAT_MISSING',
	/** No route of the Worker leads to the path of the server. */
	'PATH_NOT_ROUTED',
] as const;

/** One of {@link CONFIGURATION_PROBLEM_CODES}. */
export type ConfigurationProblemCode = (typeof CONFIGURATION_PROBLEM_CODES)[number];

/** Something that is wrong with the configuration of a Worker. */
export interface ConfigurationProblem {
	code: ConfigurationProblemCode;
	/** `CODE: what is wrong. What to do. https://…`: the address is that of the page that explains the code. */
	message: string;
}

/** What {@link checkConfiguration} reads of a configuration, as `unstable_readConfig` of wrangler returns it. */
export interface WorkerConfiguration {
	compatibility_date?: string | undefined;
	compatibility_flags?: readonly string[] | undefined;
	durable_objects?: { bindings: readonly ObjectBinding[] };
	kv_namespaces?: readonly { binding: string }[];
	services?: readonly { binding: string }[] | undefined;
	r2_buckets?: readonly { binding: string }[];
	d1_databases?: readonly { binding: string }[];
	vars?: Readonly<Record<string, unknown>>;
	exports?: Readonly<Record<string, { type: string; state?: string; storage?: string }>>;
	migrations?: readonly {
		new_classes?: readonly string[];
		new_sqlite_classes?: readonly string[];
		renamed_classes?: readonly { from: string; to: string }[];
		transferred_classes?: readonly { to: string }[];
		deleted_classes?: readonly string[];
	}[];
	route?: Route | undefined;
	routes?: readonly Route[] | undefined;
	workers_dev?: boolean | undefined;
}

interface ObjectBinding {
	name: string;
	class_name: string;
	script_name?: string | undefined;
}

type Route = string | { pattern: string; custom_domain?: boolean };

/** What the Worker's code says, and no configuration. The names are those of the options of `DurableObjectSessions`. */
export interface CheckOptions {
	/** The name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`). */
	binding?: string;
	/** Where client info and subscriptions are stored (default `'object'`). `'kv'` needs a KV namespace. */
	info?: 'object' | 'kv';
	/** The name of the KV binding (default `TMCP_SESSION_INFO`). */
	kv?: string;
	/** The path of the server (default `/mcp`); `null`: all paths. */
	path?: string | null;
	/** The names that the Worker's entry exports, where they are known. */
	exported?: readonly string[];
}

/** The oldest compatibility date that is tested. */
const OLDEST_DATE = '2025-06-01';

/** From this date on `node:async_hooks` is there without a flag. */
const NODEJS_COMPAT_DATE = '2026-08-04';

/** @param reason the text between the code and the address, as sentences */
export function problem(code: ConfigurationProblemCode, reason: string): ConfigurationProblem {
	return { code, message: `${code}: ${reason} ${pageOf(code)}` };
}

/**
 * All that is wrong with the configuration of a Worker that serves with this library: bindings, the class of the Durable
 * Object, compatibility date and flags, routes. `npx @tmcp/session-manager-durable-objects` prints the same list.
 *
 * ```ts
 * import { unstable_readConfig } from 'wrangler';
 *
 * expect(checkConfiguration(unstable_readConfig({ config: 'wrangler.jsonc' }))).toEqual([]);
 * ```
 *
 * @returns an empty list where nothing is wrong
 */
export function checkConfiguration(
	config: WorkerConfiguration,
	options: CheckOptions = {},
): ConfigurationProblem[] {
	return [...problemsOf(config, options)];
}

type Problems = Iterable<ConfigurationProblem>;

function* problemsOf(
	config: WorkerConfiguration,
	{
		binding = 'TMCP_DURABLE_OBJECT',
		info = 'object',
		kv = 'TMCP_SESSION_INFO',
		path = '/mcp',
		exported,
	}: CheckOptions,
): Problems {
	const bound = config.durable_objects?.bindings.find(({ name }) => name === binding);
	// A Worker beside the server only sends, and the class is declared and exported by the server.
	const isBeside = bound?.script_name !== undefined;
	if (!bound) {
		yield unbound(config, binding, 'a Durable Object namespace', syncLayerConfiguration(binding));
	} else if (!isBeside) {
		yield* declarationProblems(config, bound.class_name);
		yield* exportProblems(bound, exported);
	}
	if (info === 'kv' && !config.kv_namespaces?.some((namespace) => namespace.binding === kv)) {
		yield unbound(config, kv, 'a KV namespace', kvConfiguration(kv));
	}
	yield* dateProblems(config);
	if (isBeside) return;
	yield* flagProblems(config);
	yield* routeProblems(config, path);
}

function* declarationProblems(config: WorkerConfiguration, name: string): Problems {
	const storage = storageOf(config, name);
	if (storage === undefined) {
		const declaration = config.migrations?.length
			? `{ "tag": "…", "new_sqlite_classes": ["${name}"] } as the last of "migrations"`
			: classDeclaration(name);
		yield problem(
			'CLASS_NOT_DECLARED',
			`the class ${name} is bound, but not declared. Write ${declaration} into the configuration of wrangler.`,
		);
	}
	if (storage === 'legacy-kv') {
		yield problem(
			'SQLITE_MISSING',
			`the class ${name} is declared without SQLite ("new_classes"), so that there is no log, no gateway and no session info in the object. Where the Worker was never deployed, write "new_sqlite_classes" in the place of "new_classes". Where it was, export SyncLayer under a new name, declare that with "new_sqlite_classes" and bind it.`,
		);
	}
}

function* exportProblems(
	{ name: binding, class_name: name }: ObjectBinding,
	exported: readonly string[] | undefined,
): Problems {
	if (!exported || exported.includes(name)) return;
	const what = name === 'SyncLayer' ? name : `SyncLayer as ${name}`;
	yield problem(
		'CLASS_NOT_EXPORTED',
		`the entry of the Worker does not export ${name}, which ${binding} is bound to. Write export { ${what} } from '@tmcp/session-manager-durable-objects'; or export a subclass of that name.`,
	);
}

/** How the objects of a class store: `unknown` where another Worker made them, `undefined` where there is no such class. */
function storageOf(config: WorkerConfiguration, name: string): string | undefined {
	const exported = config.exports?.[name];
	if (exported?.type === 'durable-object' && exported.storage !== undefined) {
		return exported.storage;
	}
	const classes = new Map<string, string>();
	for (const migration of config.migrations ?? []) {
		for (const made of migration.new_classes ?? []) classes.set(made, 'legacy-kv');
		for (const made of migration.new_sqlite_classes ?? []) classes.set(made, 'sqlite');
		for (const { to } of migration.transferred_classes ?? []) classes.set(to, 'unknown');
		for (const { from, to } of migration.renamed_classes ?? []) {
			classes.set(to, classes.get(from) ?? 'unknown');
			classes.delete(from);
		}
		for (const deleted of migration.deleted_classes ?? []) classes.delete(deleted);
	}
	return classes.get(name);
}

/** Why there is no binding of this name and kind. */
function unbound(
	config: WorkerConfiguration,
	name: string,
	kind: string,
	configuration: string,
): ConfigurationProblem {
	const other = kindOf(config, name);
	const fix = `Write ${configuration} into the configuration of wrangler.`;
	return other === undefined
		? problem('BINDING_MISSING', `the Worker has no binding "${name}". ${fix}`)
		: problem('BINDING_WRONG_KIND', `"${name}" is bound to ${other}, not to ${kind}. ${fix}`);
}

function kindOf(config: WorkerConfiguration, name: string): string | undefined {
	if (config.durable_objects?.bindings.some((bound) => bound.name === name)) {
		return 'a Durable Object namespace';
	}
	if (Object.hasOwn(config.vars ?? {}, name)) return 'a variable';
	const kinds = {
		'a KV namespace': config.kv_namespaces,
		'a service': config.services,
		'an R2 bucket': config.r2_buckets,
		'a D1 database': config.d1_databases,
	};
	const [kind] =
		Object.entries(kinds).find(([, bound]) => bound?.some(({ binding }) => binding === name)) ?? [];
	return kind;
}

function* dateProblems({ compatibility_date: date }: WorkerConfiguration): Problems {
	// Dates of this form are in order as text.
	if (date !== undefined && date >= OLDEST_DATE) return;
	const is = date === undefined ? 'is missing' : `${date} is too old`;
	yield problem(
		'COMPATIBILITY_DATE_TOO_OLD',
		`the compatibility date ${is}: the oldest that is supported is ${OLDEST_DATE}. Write "compatibility_date": "2026-08-01", or a later one.`,
	);
}

function* flagProblems({
	compatibility_date: date = '',
	compatibility_flags: flags = [],
}: WorkerConfiguration): Problems {
	const isOn = flags.includes('nodejs_compat') || flags.includes('nodejs_als');
	if (isOn || date >= NODEJS_COMPAT_DATE) return;
	yield problem(
		'NODEJS_COMPAT_MISSING',
		'HttpTransport needs node:async_hooks, which is off. Write "compatibility_flags": ["nodejs_compat"].',
	);
}

function* routeProblems(config: WorkerConfiguration, path: string | null): Problems {
	const routes = [config.route ?? [], config.routes ?? []].flat();
	if (routes.length === 0 || config.workers_dev === true || path === null) return;
	if (routes.some((route) => leadsTo(route, path))) return;
	yield problem(
		'PATH_NOT_ROUTED',
		`no route of the Worker leads to ${path}, the path of the server. Add one that ends with "${path}", or give DurableObjectSessions another path.`,
	);
}

/** `*` stands for any characters in a route: {@link https://developers.cloudflare.com/workers/configuration/routing/routes/}. */
function leadsTo(route: Route, path: string): boolean {
	if (typeof route !== 'string' && route.custom_domain) return true;
	const pattern = (typeof route === 'string' ? route : route.pattern).replace(/^https?:\/\//, '');
	const slash = pattern.indexOf('/');
	// Without a path only a pattern that ends with `*` goes on behind the host.
	if (slash === -1) return pattern.endsWith('*');
	const literally = pattern.slice(slash).replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
	return new RegExp(`^${literally.replaceAll('*', '.*')}$`).test(path);
}
