import { env } from 'cloudflare:workers';
import { quote, SessionManagerError } from '../../errors.ts';
import type { SyncLayer } from '../../object/sync-layer.ts';
import { kvConfiguration, syncLayerConfiguration } from '../../wire/binding-configuration.ts';

/** The Durable Object namespace of `SyncLayer` or of a subclass. */
export type SyncLayerNamespace = DurableObjectNamespace<SyncLayer>;

/** These names of bindings, or any string where nobody declared `Cloudflare.Env`. */
type BindingName<Names> = keyof Cloudflare.Env extends never ? string : Names & string;

/** Names of `SyncLayer` namespaces, and of those whose class `wrangler types` does not know: another Worker's. */
export type SyncLayerBinding = BindingName<
	{
		[Name in keyof Cloudflare.Env]: Cloudflare.Env[Name] extends DurableObjectNamespace<infer Class>
			? undefined extends Class
				? Name
				: Class extends SyncLayer
					? Name
					: never
			: never;
	}[keyof Cloudflare.Env]
>;

/** Names of KV namespaces. */
export type KVBinding = BindingName<
	{
		[Name in keyof Cloudflare.Env]: Cloudflare.Env[Name] extends KVNamespace ? Name : never;
	}[keyof Cloudflare.Env]
>;

/** A kind of binding: how to recognise it, and what to write into `wrangler.jsonc` to have it. */
interface BindingKind<Namespace> {
	article: string;
	is(value: unknown): value is Namespace;
	configuration(name: string): string;
}

/** A binding with a method of this name is an RPC stub (a service binding, for example), which has a method of any name. */
const NO_METHOD = 'tmcpNoSuchMethod';

function hasMethods(value: unknown, names: readonly string[]): boolean {
	if (typeof value !== 'object' || value === null) return false;
	const has = (name: string) => typeof Reflect.get(value, name) === 'function';
	return names.every(has) && !has(NO_METHOD);
}

const syncLayerKind: BindingKind<SyncLayerNamespace> = {
	article: 'a Durable Object namespace',
	is: (value): value is SyncLayerNamespace => hasMethods(value, ['getByName', 'idFromName']),
	configuration: syncLayerConfiguration,
};

const kvKind: BindingKind<KVNamespace> = {
	article: 'a KV namespace',
	is: (value): value is KVNamespace =>
		hasMethods(value, ['get', 'getWithMetadata', 'list', 'put', 'delete']),
	configuration: kvConfiguration,
};

/** Looks the binding up at each call, because managers are made at module scope, where bindings cannot be used. */
function lookUp<Namespace>(
	kind: BindingKind<Namespace>,
	binding: string | Namespace,
): () => Namespace {
	const name = typeof binding === 'string' ? binding : undefined;
	return () => {
		const value: unknown = name === undefined ? binding : Reflect.get(env, name);
		if (kind.is(value)) return value;
		const fix = `Write ${kind.configuration(name ?? 'NAME')} into wrangler.jsonc.`;
		if (value === undefined && name !== undefined) {
			throw new SessionManagerError(
				'BINDING_MISSING',
				`the Worker has no binding ${quote(name)}. ${fix}`,
			);
		}
		const what = name === undefined ? 'what was given as binding' : `the binding ${quote(name)}`;
		throw new SessionManagerError('BINDING_WRONG_KIND', `${what} is not ${kind.article}. ${fix}`);
	};
}

/** @throws (when called) `BINDING_MISSING`, `BINDING_WRONG_KIND` */
export const lookUpSyncLayer = (binding: string | SyncLayerNamespace): (() => SyncLayerNamespace) =>
	lookUp(syncLayerKind, binding);

/** @throws (when called) `BINDING_MISSING`, `BINDING_WRONG_KIND` */
export const lookUpKV = (binding: string | KVNamespace): (() => KVNamespace) =>
	lookUp(kvKind, binding);
