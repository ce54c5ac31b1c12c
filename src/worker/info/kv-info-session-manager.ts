import type { InfoSessionManager } from '@tmcp/session-manager';
import * as v from 'valibot';
import { quote, SessionManagerError } from '../../errors.ts';
import { hash, shortHash } from '../hash.ts';
import { type KVBinding, lookUpKV } from '../routing/binding.ts';
import {
	functionSchema,
	isSessionId,
	parseOptions,
	parseSessionId,
	parseUri,
} from '../../wire/arguments.ts';
import { validate } from '../../wire/validate.ts';
import { hold } from '../request/hold.ts';
import { infoKeys, subscribedPrefix, subscribersPrefix } from './kv-keys.ts';
import { type Entry, KVStore } from './kv-store.ts';
import { currentScope, type RequestScope } from '../request/request-scope.ts';
import { report } from '../request/report.ts';
import {
	type ClientCapabilities,
	ClientCapabilitiesSchema,
	type ClientInfo,
	ClientInfoSchema,
	type LogLevel,
	LogLevelSchema,
} from './session-info.ts';

const DEFAULT_TTL_SECONDS = 7 * 24 * 60 * 60;

/** The least that KV takes: https://developers.cloudflare.com/kv/api/write-key-value-pairs/#expiring-keys */
const MIN_TTL_SECONDS = 60;

/**
 * After a renewal KV may go on serving what was read before it, which looks as if it were due again. So a session is not
 * renewed twice within this time, in milliseconds, or within a quarter of `ttl` where that is less.
 */
const MAX_RENEWAL_PAUSE_MS = 120_000;

/** A snapshot older than this was left behind by a request that ended in the middle, in milliseconds. */
const SNAPSHOT_LIMIT_MS = 1_000;

const OptionsSchema = v.strictObject({
	ttl: v.optional(
		v.pipe(
			v.number(),
			v.integer(),
			v.minValue(MIN_TTL_SECONDS, `at least ${MIN_TTL_SECONDS} seconds`),
		),
		DEFAULT_TTL_SECONDS,
	),
	onError: v.optional(
		functionSchema<(error: SessionManagerError) => void | Promise<void>>(),
		() => (error: SessionManagerError) => console.error(error),
	),
});

/** Options of {@link KVInfoSessionManager}. */
export interface InfoSessionManagerOptions {
	/**
	 * How long a session is remembered after its last sign of life, in seconds (default 604,800: seven days; at least 60).
	 * A POST renews it, and so does an open stream where the stream manager was given this manager as `info`.
	 */
	ttl?: number;
	/** Told of each write that failed for good, once (default: one `console.error`). */
	onError?: (error: SessionManagerError) => void | Promise<void>;
}

/** All that KV holds of a session, but its subscriptions. */
interface Snapshot {
	clientInfo: Entry | undefined;
	clientCapabilities: Entry | undefined;
	logLevel: Entry | undefined;
}

/** A read that was begun before it was asked for. */
interface Prefetched {
	session: string;
	/** What of it was not asked for yet. */
	fields: Set<keyof Snapshot>;
	info: Promise<Snapshot>;
}

/**
 * Keeps what a client said when it initialised, its log level and its subscriptions in Workers KV. Give it to tmcp's
 * transports beside {@link DurableObjectStreamSessionManager}.
 *
 * KV is eventually consistent: another location may see a write 60 seconds late
 * (https://developers.cloudflare.com/kv/concepts/how-kv-works/#consistency), and a renewal that runs beside another
 * instance's write can bring an old value back. One invocation may make 1,000 KV operations, so of a session with more
 * than about 490 subscriptions `delete` removes a part: what is left expires, or goes with the next `delete`.
 *
 * Safe to construct at module scope. All its work is held with `waitUntil`. Getters reject with a
 * {@link SessionManagerError}; the other methods, which tmcp's transports neither await nor catch, never do: their
 * failures go to `onError`, and what they return resolves when the work is done.
 */
export class KVInfoSessionManager implements InfoSessionManager {
	/** A quarter of `ttl`, in milliseconds: with it no renewal, due after half of `ttl`, comes too late. */
	readonly touchIntervalMs: number;
	#halfLifeSeconds: number;
	#renewalPauseMs: number;
	#store: KVStore;
	#onError: (error: SessionManagerError) => void | Promise<void>;
	/** When this instance renewed a session, in the order of time. */
	#renewedAt = new Map<string, number>();
	#snapshot: { session: string; takenAt: number; info: Snapshot } | undefined;
	/** What {@link prefetch} has begun to read; a promise belongs to one request, so it is found by that only. */
	#prefetched = new WeakMap<RequestScope, Prefetched>();

	/**
	 * @param binding name of the KV binding (default `TMCP_SESSION_INFO`), or the namespace itself
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(binding?: KVBinding | KVNamespace, options?: InfoSessionManagerOptions) {
		const { ttl, onError } = parseOptions(OptionsSchema, options, 'KVInfoSessionManager');
		this.touchIntervalMs = (ttl * 1000) / 4;
		this.#halfLifeSeconds = ttl / 2;
		this.#renewalPauseMs = Math.min(MAX_RENEWAL_PAUSE_MS, this.touchIntervalMs);
		this.#store = new KVStore(lookUpKV(binding ?? 'TMCP_SESSION_INFO'), ttl);
		this.#onError = onError;
	}

	/**
	 * Begin to read what the getters will be asked for in this request. {@link SessionGateway} calls it while it waits for
	 * the object; outside of a gateway it does nothing.
	 * @throws `INVALID_SESSION_ID`
	 */
	prefetch(id: string): void {
		const session = parseSessionId(id);
		const scope = currentScope();
		if (!scope) return;
		const fields = new Set(['clientInfo', 'clientCapabilities', 'logLevel'] as const);
		this.#prefetched.set(scope, { session, fields, info: hold(this.#read(session)) });
	}

	/** @throws `SESSION_INFO_NOT_FOUND`, `SESSION_INFO_DAMAGED`, `SESSION_INFO_READ_FAILED`, `INVALID_SESSION_ID` */
	getClientInfo(id: string): Promise<ClientInfo> {
		return hold(this.#get(id, 'clientInfo', ClientInfoSchema));
	}

	/** `undefined` forgets it. */
	setClientInfo(id: string, clientInfo: ClientInfo | undefined): Promise<void> {
		return this.#set(id, 'clientInfo', ClientInfoSchema, clientInfo);
	}

	/**
	 * Reads client info and log level too, for the getters that follow: tmcp's transports call all three on each POST,
	 * this one first, and need one KV round trip for it.
	 * @throws `SESSION_INFO_NOT_FOUND`, `SESSION_INFO_DAMAGED`, `SESSION_INFO_READ_FAILED`, `INVALID_SESSION_ID`
	 */
	getClientCapabilities(id: string): Promise<ClientCapabilities> {
		return hold(this.#get(id, 'clientCapabilities', ClientCapabilitiesSchema));
	}

	/** `undefined` forgets them. */
	setClientCapabilities(id: string, capabilities: ClientCapabilities | undefined): Promise<void> {
		return this.#set(id, 'clientCapabilities', ClientCapabilitiesSchema, capabilities);
	}

	/** @throws `SESSION_INFO_NOT_FOUND`, `SESSION_INFO_DAMAGED`, `SESSION_INFO_READ_FAILED`, `INVALID_SESSION_ID` */
	getLogLevel(id: string): Promise<LogLevel> {
		return hold(this.#get(id, 'logLevel', LogLevelSchema));
	}

	/** `undefined` forgets it. */
	setLogLevel(id: string, level: LogLevel | undefined): Promise<void> {
		return this.#set(id, 'logLevel', LogLevelSchema, level);
	}

	/**
	 * The sessions that subscribed to exactly this URI, each once. One list operation for each 1,000 of them.
	 * @throws `SESSION_INFO_READ_FAILED`
	 */
	getSubscriptions(uri: string): Promise<string[]> {
		return hold(this.#subscribers(uri));
	}

	/** Subscribe a session to a URI of any length. Doing it again renews it. */
	addSubscription(id: string, uri: string): Promise<void> {
		return this.#reported(async () => {
			const { forward, reverse } = await subscriptionKeys(parseSessionId(id), parseUri(uri));
			await all([this.#store.put(reverse, ''), this.#store.put(forward, '')]);
		});
	}

	/** Unsubscribe a session from a URI. */
	removeSubscription(id: string, uri: string): Promise<void> {
		return this.#reported(async () => {
			const { forward, reverse } = await subscriptionKeys(parseSessionId(id), parseUri(uri));
			await all([this.#store.delete(reverse), this.#store.delete(forward)]);
		});
	}

	/** Forget the session and its subscriptions, and nothing else. Costs what the session used. */
	delete(id: string): Promise<void> {
		return this.#reported(async () => {
			const session = parseSessionId(id);
			const info = Object.values(infoKeys).map((key) => this.#store.delete(key(session)));
			await all([...info, this.#deleteSubscriptions(session)]);
		});
	}

	/**
	 * Renew the expiry of all that is stored for the session, if half of it is over for any of it. Reading does that by
	 * itself; this is for a session that is alive without a request, as an open stream is.
	 */
	touch(id: string): Promise<void> {
		return this.#reported(async () => {
			const session = parseSessionId(id);
			const [info, subscriptions] = await Promise.all([
				this.#read(session),
				this.#subscriptionsOf(session),
			]);
			const stored = [...Object.values(info), ...subscriptions];
			if (this.#isRenewalDue(session, stored)) await this.#renew(session);
		});
	}

	async #get<Schema extends v.GenericSchema>(
		id: string,
		field: keyof Snapshot,
		schema: Schema,
	): Promise<v.InferOutput<Schema>> {
		const session = parseSessionId(id);
		const entry = (this.#recentSnapshot(session, field) ??
			(await this.#takeSnapshot(session, field)))[field];
		const of = `${field} of the session with the hash ${await shortHash(session)}`;
		if (!entry) {
			throw new SessionManagerError(
				'SESSION_INFO_NOT_FOUND',
				`nothing is stored as ${of}. It was never set, has expired, or is not visible here yet.`,
			);
		}
		const result = validate(schema, parseJson(entry.text));
		if (result.kind === 'valid') return result.output;
		throw new SessionManagerError(
			'SESSION_INFO_DAMAGED',
			`what is stored as ${of} is ${quote(entry.text)} (${result.issue}). Delete the key ${infoKeys[field]('<session id>')}; the client sets it when it initialises again.`,
		);
	}

	async #set<Schema extends v.GenericSchema>(
		id: string,
		field: keyof Snapshot,
		schema: Schema,
		value: unknown,
	): Promise<void> {
		return this.#reported(async () => {
			const session = parseSessionId(id);
			const key = infoKeys[field](session);
			if (value === undefined) return this.#store.delete(key);
			const result = validate(schema, value);
			if (result.kind === 'valid') return this.#store.put(key, JSON.stringify(value));
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				`${field} of the session with the hash ${await shortHash(session)} was not stored: ${result.issue} at ${result.path ?? 'the top'}.`,
			);
		});
	}

	async #subscribers(uri: string): Promise<string[]> {
		const keys = await this.#store.list(subscribersPrefix(await hash(parseUri(uri))));
		// A key that ends in anything else was not written by this library.
		return keys.map(({ name }) => name).filter(isSessionId);
	}

	async #deleteSubscriptions(session: string): Promise<void> {
		const deletions = (await this.#subscriptionsOf(session)).map(async ({ forward, reverse }) => {
			await this.#store.delete(forward);
			// Last, because it is by this key that a second delete finds what the first one did not get to.
			await this.#store.delete(reverse);
		});
		await all(deletions);
	}

	async #subscriptionsOf(session: string): Promise<(SubscriptionKeys & { writtenAt: number })[]> {
		const prefix = await subscribedPrefix(session);
		const listed = await this.#store.list(prefix);
		return listed.map(({ name: uriHash, writtenAt }) => ({
			forward: subscribersPrefix(uriHash) + session,
			reverse: prefix + uriHash,
			writtenAt,
		}));
	}

	/**
	 * What {@link getClientCapabilities} read for this session within the running turn of the event loop, as plain data: a
	 * promise would belong to one request and must not reach another, and data that outlived the turn might be stale.
	 */
	#recentSnapshot(session: string, field: keyof Snapshot): Snapshot | undefined {
		const snapshot = this.#snapshot;
		if (snapshot?.session !== session || field === 'clientCapabilities') return undefined;
		return Date.now() - snapshot.takenAt < SNAPSHOT_LIMIT_MS ? snapshot.info : undefined;
	}

	async #takeSnapshot(session: string, field: keyof Snapshot): Promise<Snapshot> {
		const prefetched = this.#takePrefetched(session, field);
		const info = await (prefetched ?? this.#read(session));
		if (this.#isRenewalDue(session, Object.values(info))) {
			void this.#reported(() => this.#renew(session));
		}
		if (prefetched || field !== 'clientCapabilities') return info;
		const snapshot = { session, takenAt: Date.now(), info };
		this.#snapshot = snapshot;
		setTimeout(() => {
			if (this.#snapshot === snapshot) this.#snapshot = undefined;
		}, 0);
		return info;
	}

	/** Each field once: who asks again, later in a long request, is to see what was set meanwhile. */
	#takePrefetched(session: string, field: keyof Snapshot): Promise<Snapshot> | undefined {
		const scope = currentScope();
		const prefetched = scope && this.#prefetched.get(scope);
		if (prefetched?.session !== session || !prefetched.fields.delete(field)) return undefined;
		return prefetched.info;
	}

	async #read(session: string): Promise<Snapshot> {
		const [clientInfo, clientCapabilities, logLevel] = await this.#store.read([
			infoKeys.clientInfo(session),
			infoKeys.clientCapabilities(session),
			infoKeys.logLevel(session),
		]);
		return { clientInfo, clientCapabilities, logLevel };
	}

	#isRenewalDue(session: string, stored: ({ writtenAt: number } | undefined)[]): boolean {
		const dueBefore = Date.now() / 1000 - this.#halfLifeSeconds;
		if (!stored.some((entry) => entry && entry.writtenAt <= dueBefore)) return false;
		return Date.now() - (this.#renewedAt.get(session) ?? -Infinity) >= this.#renewalPauseMs;
	}

	/** Write everything again, but not what this instance changes meanwhile. */
	async #renew(session: string): Promise<void> {
		this.#noteRenewal(session);
		const readAt = Date.now();
		const [info, subscriptions] = await Promise.all([
			this.#read(session),
			this.#subscriptionsOf(session),
		]);
		const renewals: Promise<void>[] = [];
		for (const field of ['clientInfo', 'clientCapabilities', 'logLevel'] as const) {
			const entry = info[field];
			if (entry) renewals.push(this.#store.renew(infoKeys[field](session), entry.text, readAt));
		}
		for (const { forward, reverse } of subscriptions) {
			for (const key of [reverse, forward]) renewals.push(this.#store.renew(key, '', readAt));
		}
		await all(renewals);
	}

	#noteRenewal(session: string): void {
		const now = Date.now();
		for (const [renewed, at] of this.#renewedAt) {
			if (now - at < this.#renewalPauseMs) break;
			this.#renewedAt.delete(renewed);
		}
		this.#renewedAt.delete(session);
		this.#renewedAt.set(session, now);
	}

	/** Do work that nobody awaits or catches: hold it, and report each failure once. */
	#reported(work: () => Promise<unknown>): Promise<void> {
		return hold(this.#report(work));
	}

	async #report(work: () => Promise<unknown>): Promise<void> {
		try {
			await work();
		} catch (error) {
			for (const failure of failuresIn(error)) await this.#tell(failure);
		}
	}

	#tell(failure: unknown): Promise<void> {
		const error =
			SessionManagerError.from(failure) ??
			new SessionManagerError('SESSION_INFO_WRITE_FAILED', String(failure), { cause: failure });
		return report(this.#onError, error);
	}
}

interface SubscriptionKeys {
	/** Found by the URI; names the session. */
	forward: string;
	/** Found by the session; names the URI. */
	reverse: string;
}

async function subscriptionKeys(session: string, uri: string): Promise<SubscriptionKeys> {
	const uriHash = await hash(uri);
	return {
		forward: subscribersPrefix(uriHash) + session,
		reverse: (await subscribedPrefix(session)) + uriHash,
	};
}

/** Wait for all, whatever becomes of them. @throws `AggregateError` of all that failed */
async function all(work: Promise<void>[]): Promise<void> {
	const failures = (await Promise.allSettled(work)).filter(({ status }) => status === 'rejected');
	if (failures.length > 0) throw new AggregateError(failures.map(failureOf));
}

function failuresIn(error: unknown): unknown[] {
	return error instanceof AggregateError ? error.errors.flatMap(failuresIn) : [error];
}

function failureOf(result: PromiseSettledResult<void>): unknown {
	return result.status === 'rejected' ? result.reason : undefined;
}

/** The existing package wrote log levels as JSON too, so one way of reading does for all. */
function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
