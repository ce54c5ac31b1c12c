/** What is used of modules of Node.js. */
interface NodeModules {
	'node:async_hooks': Pick<typeof import('node:async_hooks'), 'AsyncLocalStorage'>;
	'node:crypto': Pick<typeof import('node:crypto'), 'createHash'>;
	'node:diagnostics_channel': Pick<typeof import('node:diagnostics_channel'), 'channel'>;
}

interface Loader {
	getBuiltinModule<Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined;
}

/**
 * A module of Node.js; `undefined` where the runtime has none: it takes `nodejs_compat` and a compatibility date from
 * 2024-09-23 on.
 *
 * Neither kind of import would do: a static one keeps a Worker without that flag from starting, and a dynamic one is a
 * promise, which belongs to the request that made it.
 */
export function nodeModule<Name extends keyof NodeModules>(
	name: Name,
): NodeModules[Name] | undefined {
	const process: unknown = Reflect.get(globalThis, 'process');
	return isLoader(process) ? process.getBuiltinModule(name) : undefined;
}

function isLoader(value: unknown): value is Loader {
	return typeof Reflect.get(Object(value), 'getBuiltinModule') === 'function';
}
