import type { InfoSessionManager } from '@tmcp/session-manager';
import * as v from 'valibot';
import { quote, SessionManagerError } from '../errors.ts';
import { type KVBinding, lookUpKV } from '../routing/binding.ts';
import { isSessionId, parseOptions, parseSessionId, parseUri } from '../schemas.ts';
import { hold } from './hold.ts';
import { hash, infoKeys, subscribedPrefix, subscribersPrefix } from './kv-keys.ts';
import { type Entry, KVStore } from './kv-store.ts';
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
		v.custom<(error: SessionManagerError) => void>(
			(value) => typeof value === 'function',
			'not a function',
		),
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
	onError?: (error: SessionManagerError) => void;
}

/** All that KV holds of a session, but its subscriptions. */
interface Snapshot {
	clientInfo: Entry | undefined;
	clientCapabilities: Entry | undefined;
	logLevel: Entry | undefined;
}

/**
 * Keeps what a client said when it initialised, its log level and its subscriptions in Workers KV. Give it to tmcp's
 * transports beside {@link DurableObjectStreamSessionManager}.
 *
 * KV is eventually consistent: another location may see a write 60 seconds late
 * (https://developers.cloudflare.com/kv/concepts/how-kv-works/#consistency). One invocation may make 1,000 KV operations,
 * so a session can have about 490 subscriptions until `delete` can no longer remove them all at once; the rest expires.
 *
 * Safe to construct at module scope. All its work is held with `waitUntil`. Getters reject with a
 * {@link SessionManagerError}; the other methods, which tmcp's transports neither await nor catch, never do: their
 * failures go to `onError`, and what they return resolves when the work is done.
 */
export class KVInfoSessionManager implements InfoSessionManager {
	/** Half of `ttl`: what was written longer ago is written again at the session's next sign of life. */
	readonly touchIntervalMs: number;
	#store: KVStore;
	#onError: (error: SessionManagerError) => void;
	#snapshot: { session: string; takenAt: number; info: Snapshot } | undefined;

	/**
	 * @param binding name of the KV binding (default `TMCP_SESSION_INFO`), or the namespace itself
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(binding?: KVBinding | KVNamespace, options?: InfoSessionManagerOptions) {
		const { ttl, onError } = parseOptions(OptionsSchema, options, 'KVInfoSessionManager');
		this.touchIntervalMs = (ttl * 1000) / 2;
		this.#store = new KVStore(lookUpKV(binding ?? 'TMCP_SESSION_INFO'), ttl);
		this.#onError = onError;
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
			await Promise.all(
				(await subscriptionKeys(parseSessionId(id), uri)).map((key) => this.#store.put(key, '')),
			);
		});
	}

	/** Unsubscribe a session from a URI. */
	removeSubscription(id: string, uri: string): Promise<void> {
		return this.#reported(async () => {
			await Promise.all(
				(await subscriptionKeys(parseSessionId(id), uri)).map((key) => this.#store.delete(key)),
			);
		});
	}

	/** Forget the session and its subscriptions, and nothing else. Costs what the session used. */
	delete(id: string): Promise<void> {
		return this.#reported(async () => {
			const session = parseSessionId(id);
			const keys = Object.values(infoKeys).map((key) => key(session));
			const removed = [...keys, ...(await this.#subscriptionKeysOf(session))].map((key) =>
				this.#store.delete(key),
			);
			await Promise.all(removed);
		});
	}

	/**
	 * Renew the expiry of all that is stored for the session, if half of it is over. Reading does that by itself; this is
	 * for a session that is alive without a request, as an open stream is.
	 */
	touch(id: string): Promise<void> {
		return this.#reported(async () => {
			const session = parseSessionId(id);
			await this.#renew(session, await this.#read(session));
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
		if (!entry) {
			throw new SessionManagerError(
				'SESSION_INFO_NOT_FOUND',
				`nothing is stored as ${field} of the session ${quote(session)}. It was never set, has expired, or is not visible here yet.`,
			);
		}
		const result = v.safeParse(schema, parseJson(entry.text));
		if (result.success) return result.output;
		throw new SessionManagerError(
			'SESSION_INFO_DAMAGED',
			`what is stored as ${field} of the session ${quote(session)} is ${quote(entry.text)}: ${result.issues[0].message}. Delete the key ${infoKeys[field](session)}; the client sets it when it initialises again.`,
		);
	}

	async #set<Schema extends v.GenericSchema>(
		id: string,
		field: keyof Snapshot,
		schema: Schema,
		value: unknown,
	): Promise<void> {
		return this.#reported(async () => {
			const key = infoKeys[field](parseSessionId(id));
			if (value === undefined) return this.#store.delete(key);
			const result = v.safeParse(schema, value);
			if (result.success) return this.#store.put(key, JSON.stringify(value));
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				`${field} of the session ${quote(id)} was not stored: ${result.issues[0].message} at ${v.getDotPath(result.issues[0]) ?? 'the top'}.`,
			);
		});
	}

	async #subscribers(uri: string): Promise<string[]> {
		const ids = await this.#store.list(subscribersPrefix(await hash(parseUri(uri))));
		// A key that ends in anything else was not written by this library.
		return ids.filter(isSessionId);
	}

	async #subscriptionKeysOf(session: string): Promise<string[]> {
		const prefix = await subscribedPrefix(session);
		const uriHashes = await this.#store.list(prefix);
		return uriHashes.flatMap((uriHash) => [subscribersPrefix(uriHash) + session, prefix + uriHash]);
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
		const info = await this.#read(session);
		void this.#reported(() => this.#renew(session, info));
		if (field !== 'clientCapabilities') return info;
		const snapshot = { session, takenAt: Date.now(), info };
		this.#snapshot = snapshot;
		setTimeout(() => {
			if (this.#snapshot === snapshot) this.#snapshot = undefined;
		}, 0);
		return info;
	}

	async #read(session: string): Promise<Snapshot> {
		const [clientInfo, clientCapabilities, logLevel] = await this.#store.read([
			infoKeys.clientInfo(session),
			infoKeys.clientCapabilities(session),
			infoKeys.logLevel(session),
		]);
		return { clientInfo, clientCapabilities, logLevel };
	}

	/** Write everything again where any of it is older than half its life, or has none. */
	async #renew(session: string, info: Snapshot): Promise<void> {
		const dueBefore = (Date.now() - this.touchIntervalMs) / 1000;
		const stored = Object.values(info).filter((entry) => entry !== undefined);
		if (!stored.some((entry) => entry.writtenAt <= dueBefore)) return;
		const puts: [string, string][] = [];
		for (const field of ['clientInfo', 'clientCapabilities', 'logLevel'] as const) {
			const entry = info[field];
			if (entry) puts.push([infoKeys[field](session), entry.text]);
		}
		for (const key of await this.#subscriptionKeysOf(session)) puts.push([key, '']);
		await Promise.all(puts.map(([key, text]) => this.#store.put(key, text)));
	}

	/** Do work that nobody awaits or catches: hold it, and report its failure once. */
	#reported(work: () => Promise<unknown>): Promise<void> {
		return hold(this.#report(work));
	}

	async #report(work: () => Promise<unknown>): Promise<void> {
		try {
			await work();
		} catch (error) {
			this.#onError(
				SessionManagerError.from(error) ??
					new SessionManagerError('SESSION_INFO_WRITE_FAILED', String(error), { cause: error }),
			);
		}
	}
}

async function subscriptionKeys(session: string, uri: string): Promise<string[]> {
	const uriHash = await hash(parseUri(uri));
	return [subscribersPrefix(uriHash) + session, (await subscribedPrefix(session)) + uriHash];
}

/** The existing package wrote log levels as JSON too, so one way of reading does for all. */
function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
