import * as v from 'valibot';
import { SessionManagerError } from './errors.ts';
import { SyncLayer } from './object/sync-layer.ts';
import { parseSyncLayerOptions, type SyncLayerOptions } from './object/options.ts';
import { functionSchema, parseOptions, TimerSchema } from './wire/options.ts';
import { DEFAULT_MAX_LIFETIME_MS, LifetimeSchema } from './worker/connection/lifetime.ts';
import {
	type GatewayTransport,
	SessionGateway,
	type SessionGatewayOptions,
} from './worker/gateway/session-gateway.ts';
import { DurableObjectInfoSessionManager } from './worker/info/durable-object-info-session-manager.ts';
import { KVInfoSessionManager } from './worker/info/kv-info-session-manager.ts';
import {
	DurableObjectSubscriptionManager,
	type SubscriptionManagerOptions,
} from './worker/listen/durable-object-subscription-manager.ts';
import type { KVBinding, SyncLayerBinding, SyncLayerNamespace } from './worker/routing/binding.ts';
import { SessionHomes, type SessionHomesOptions } from './worker/routing/homes.ts';
import {
	DurableObjectStreamSessionManager,
	type StreamSessionManagerOptions,
} from './worker/streams/durable-object-stream-session-manager.ts';
import { DEFAULT_KEEP_ALIVE_MS } from './worker/streams/keep-alive.ts';

const isAny = () => true;

/** `SyncLayer` or a subclass, as far as its settings are concerned. @inline */
interface SyncLayerClass {
	readonly options: SyncLayerOptions;
}

/** What a part takes is checked by it, but what all have in common must not be said twice. */
function partSchema<Options extends object>(said: readonly string[]) {
	return v.optional(
		v.pipe(
			v.custom<Options>((value) => typeof value === 'object' && value !== null, 'not an object'),
			v.check(
				(options) => !said.some((name) => name in options),
				`${said.join(', ')} are options of DurableObjectSessions itself, for all parts`,
			),
		),
	);
}

const OptionsSchema = v.strictObject({
	binding: v.optional(v.custom<SyncLayerBinding | SyncLayerNamespace>(isAny)),
	path: v.optional(v.nullable(v.string()), '/mcp'),
	owner: v.optional(functionSchema<NonNullable<SessionGatewayOptions['owner']>>()),
	info: v.optional(v.picklist(['object', 'kv']), 'object'),
	kv: v.optional(v.custom<KVBinding | KVNamespace>(isAny)),
	fallback: v.optional(v.instance(KVInfoSessionManager, 'fallback is not a KVInfoSessionManager')),
	syncLayer: v.optional(
		v.custom<SyncLayerClass>(
			(value) =>
				typeof value === 'function' &&
				(value === SyncLayer || value.prototype instanceof SyncLayer),
			'syncLayer is neither SyncLayer nor a subclass',
		),
		() => SyncLayer,
	),
	homes: v.optional(
		v.union([v.number(), v.custom<SessionHomesOptions>((value) => typeof value === 'object')]),
		{},
	),
	keepAlive: v.optional(TimerSchema, DEFAULT_KEEP_ALIVE_MS),
	maxLifetime: v.optional(LifetimeSchema, DEFAULT_MAX_LIFETIME_MS),
	onError: v.optional(functionSchema<(error: unknown) => void>(), () => (error: unknown) => {
		console.error(error);
	}),
	streams: partSchema<StreamSessionManagerOptions>(['info', 'keepAlive', 'maxLifetime', 'onError']),
	listen: partSchema<SubscriptionManagerOptions>(['maxLifetime', 'onError']),
	gateway: partSchema<SessionGatewayOptions>(['path', 'info', 'owner', 'keepAlive']),
});

/** What all parts have in common, said once. @inline */
interface CommonOptions {
	/** The path of the server; `null`: all paths (default `/mcp`). */
	path?: string | null;
	/**
	 * Tells who makes a request: see {@link SessionGatewayOptions.owner}. Default: sessions have no owner, and a session's id is
	 * enough to use it.
	 */
	owner?: NonNullable<SessionGatewayOptions['owner']>;
	/**
	 * The class that the Worker exports as the Durable Object, where it is a subclass (default {@link SyncLayer}). What KV
	 * holds of a session lives as long as its `sessionTtl` says.
	 */
	syncLayer?: SyncLayerClass;
	/** How many objects share the work (default 1), or all options of {@link SessionHomes}. */
	homes?: number | SessionHomesOptions;
	/** How long what stays open may be idle before a comment is written on it, in milliseconds (default 25,000). */
	keepAlive?: number;
	/** How long a stream lives at most, in milliseconds (default 86,400,000: a day), and then comes back to its place. */
	maxLifetime?: number;
	/** Told once of each failure that no caller sees (default: `console.error`). */
	onError?: (error: unknown) => void;
	/** What only {@link DurableObjectStreamSessionManager} takes. */
	streams?: Omit<StreamSessionManagerOptions, 'info' | 'keepAlive' | 'maxLifetime' | 'onError'>;
	/** What only {@link DurableObjectSubscriptionManager} takes. */
	listen?: Omit<SubscriptionManagerOptions, 'maxLifetime' | 'onError'>;
	/** What only {@link SessionGateway} takes. */
	gateway?: Omit<SessionGatewayOptions, 'path' | 'info' | 'owner' | 'keepAlive'>;
}

/** A binding may be left out where there is one of the default name. */
type OptionalIf<Name, Bindings, Option> = Name extends Bindings ? Partial<Option> : Option;

/** Options of {@link DurableObjectSessions}. */
export type DurableObjectSessionsOptions = CommonOptions &
	/** Name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), or the namespace itself. */
	OptionalIf<
		'TMCP_DURABLE_OBJECT',
		SyncLayerBinding,
		{ binding: SyncLayerBinding | SyncLayerNamespace }
	> &
	(
		| {
				/** Where client info and resource subscriptions are stored: in the Durable Object (default), or in Workers KV. */
				info?: 'object';
				/**
				 * Where a server that changes over has it until now: what KV holds of a session is moved to the object when it is
				 * asked for first (default: nowhere).
				 */
				fallback?: KVInfoSessionManager;
		  }
		| ({
				info: 'kv';
		  } & /** Name of the KV binding (default `TMCP_SESSION_INFO`), or the namespace itself. */ OptionalIf<
				'TMCP_SESSION_INFO',
				KVBinding,
				{ kv: KVBinding | KVNamespace }
		  >)
	);

/** What `HttpTransport` takes of it. @inline */
interface TransportOptions {
	path: string | null;
	sessionManager: ReturnType<DurableObjectInfoSessionManager['with']>;
	subscriptionManager: DurableObjectSubscriptionManager;
}

/**
 * Makes all parts of this library from one set of options: the managers of sessions, client info and listen streams, and the
 * gateway in front of the transport.
 *
 * ```ts
 * const sessions = new DurableObjectSessions();
 * const gateway = sessions.gateway(new HttpTransport(server, sessions.transport));
 *
 * export { SyncLayer } from '@tmcp/session-manager-durable-objects';
 * export default { fetch: async (request) => (await gateway.respond(request)) ?? notFound() } satisfies ExportedHandler;
 * ```
 *
 * Safe to construct at module scope.
 */
export class DurableObjectSessions {
	/** The options of an `HttpTransport`; `cors`, `oauth` and whatever else it takes may be added. */
	readonly transport: TransportOptions;
	/** Which object has which session: for a `SyncLayerClient` in the same Worker. */
	readonly homes: SessionHomes;
	#gatewayOptions: SessionGatewayOptions;

	/**
	 * @param options required only where a binding has not its default name
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(
		...[options]: Record<never, never> extends DurableObjectSessionsOptions
			? [options?: DurableObjectSessionsOptions]
			: [options: DurableObjectSessionsOptions]
	) {
		const parsed = parseOptions(OptionsSchema, options, 'DurableObjectSessions');
		const { path, owner, info, kv, fallback, keepAlive, maxLifetime, onError } = parsed;
		const ofHomes = typeof parsed.homes === 'number' ? { homes: parsed.homes } : parsed.homes;
		const homes = new SessionHomes(parsed.binding, ofHomes);
		const lifetime = parseSyncLayerOptions(parsed.syncLayer.options).lifetimes.sessionTtlMs;
		const subscriptionManager = new DurableObjectSubscriptionManager(homes, {
			...parsed.listen,
			maxLifetime,
			onError,
		});
		const streamOptions = { ...parsed.streams, keepAlive, maxLifetime, onError };
		this.homes = homes;
		this.#gatewayOptions = { ...parsed.gateway, path, keepAlive, ...(owner && { owner }) };
		if (info === 'kv' && fallback) {
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				"fallback is for info: 'object', which takes over what KV holds. Leave it out, or info: 'kv'.",
			);
		}
		if (info === 'kv') {
			const manager = new KVInfoSessionManager(kv, { ttl: Math.ceil(lifetime / 1000), onError });
			const streams = new DurableObjectStreamSessionManager(homes, {
				...streamOptions,
				info: manager,
			});
			this.#gatewayOptions.info = manager;
			this.transport = { path, sessionManager: { streams, info: manager }, subscriptionManager };
		} else {
			const manager = new DurableObjectInfoSessionManager(homes, {
				onError,
				...(fallback && { fallback }),
			});
			const streams = new DurableObjectStreamSessionManager(homes, streamOptions);
			this.#gatewayOptions.info = manager;
			this.transport = { path, sessionManager: manager.with(streams), subscriptionManager };
		}
	}

	/**
	 * What answers requests in the place of the transport.
	 * @param transport made with the options of `transport`
	 */
	gateway<Custom = undefined>(transport: GatewayTransport<Custom>): SessionGateway<Custom> {
		return new SessionGateway(transport, this.homes, this.#gatewayOptions);
	}
}
