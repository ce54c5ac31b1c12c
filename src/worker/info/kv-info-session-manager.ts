import type { InfoSessionManager } from '@tmcp/session-manager';
import * as v from 'valibot';
import { quote, SessionManagerError } from '../../errors.ts';
import { parseJson } from '../content.ts';
import { hash, shortHash } from '../hash.ts';
import { type KVBinding, lookUpKV } from '../routing/binding.ts';
import { isSessionId, parseSessionId, parseUri } from '../../wire/arguments.ts';
import { parseOptions } from '../../wire/options.ts';
import { validate } from '../../wire/validate.ts';
import { hold } from '../request/hold.ts';
import { infoKeys, subscribedPrefix, subscribersPrefix } from './kv-keys.ts';
import { type Entry, KVStore } from './kv-store.ts';
import { currentScope, type RequestScope, tellsHomes } from '../request/request-scope.ts';
import { OnErrorSchema, WriteFailures } from './write-failures.ts';
import {
	type ClientCapabilities,
	type ClientInfo,
	type InfoField as Field,
	type LogLevel,
	type SessionInfo,
	SESSION_INFO_ENTRIES as SCHEMAS,
	toStoredInfo,
} from '../../wire/session-info.ts';

const DEFAULT_TTL_SECONDS = 7 * 24 * 60 * 60;

/** The shortest that KV allows: https://developers.cloudflare.com/kv/api/write-key-value-pairs/#expiring-keys */
const MIN_TTL_SECONDS = 60;

/** How old a read may be that answers another question about the same session, in milliseconds. */
const MAX_READ_AGE_MS = 1_000;

const OptionsSchema = v.strictObject({
	ttl: v.optional(
		v.pipe(
			v.number(),
			v.integer(),
			v.minValue(MIN_TTL_SECONDS, `at least ${MIN_TTL_SECONDS} seconds`),
		),
		DEFAULT_TTL_SECONDS,
	),
	onError: OnErrorSchema,
});

/** Options of {@link KVInfoSessionManager}. */
export interface InfoSessionManagerOptions {
	/**
	 * How long a session's data is kept after its last POST, in seconds (default 604,800: seven days; at least 60). An open
	 * stream keeps it, too, where the stream manager was given this manager as `info`.
	 */
	ttl?: number;
	/** Called once for each write that failed for good (default: `console.error`). */
	onError?: (error: SessionManagerError) => void | Promise<void>;
}

/** All that KV holds of a session, except its subscriptions. */
type Stored = Record<Field, Entry | undefined>;

/** A subscription of a session: its two keys, which have no text. */
interface Subscription {
	/** Listed by URI, and ends with the session id. */
	forward: string;
	/** Listed by session, and ends with the hash of the URI. */
	reverse: string;
	/** In seconds since 1970, of `reverse`. */
	writtenAt: number;
}

/**
 * Keeps what a client said when it initialised, its log level and its subscriptions in Workers KV. Give it to tmcp's
 * transports beside {@link DurableObjectStreamSessionManager}.
 *
 * KV is eventually consistent: another location may see a write 60 seconds late
 * (https://developers.cloudflare.com/kv/concepts/how-kv-works/#consistency), and a renewal can overwrite what another
 * instance writes at the same time. One invocation may make 1,000 KV operations, so `delete` removes only a part of more
 * than about 490 subscriptions: the rest expires, or is removed by the next `delete`.
 *
 * Safe to construct at module scope. All its work is held with `waitUntil`. Getters reject with a
 * {@link SessionManagerError}; the other methods, which tmcp's transports neither await nor catch, never do: their
 * failures go to `onError`, and what they return resolves when the work is done.
 */
export class KVInfoSessionManager implements InfoSessionManager {
	/** A quarter of `ttl`, in milliseconds: a renewal is due after half of `ttl`, so it always comes in time. */
	readonly touchIntervalMs: number;
	#store: KVStore;
	#failures: WriteFailures;
	/** The last read of {@link getClientCapabilities}. */
	#lastRead: { session: string; at: number; stored: Stored } | undefined;
	/** Reads that {@link prefetch} has begun, by request, because no other request can wait for the promise. */
	#prefetched = new WeakMap<RequestScope, { session: string; stored: Promise<Stored> }>();

	/**
	 * @param binding name of the KV binding (default `TMCP_SESSION_INFO`), or the namespace itself
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(binding?: KVBinding | KVNamespace, options?: InfoSessionManagerOptions) {
		const { ttl, onError } = parseOptions(OptionsSchema, options, 'KVInfoSessionManager');
		this.touchIntervalMs = (ttl * 1000) / 4;
		this.#store = new KVStore(lookUpKV(binding ?? 'TMCP_SESSION_INFO'), ttl);
		this.#failures = new WriteFailures(onError);
	}

	/**
	 * Begin to read what the getters of this request need. {@link SessionGateway} calls it while it waits for the object;
	 * without a gateway it does nothing.
	 * @throws `INVALID_SESSION_ID`
	 */
	prefetch(id: string): void {
		const session = parseSessionId(id);
		const scope = currentScope();
		if (scope) this.#prefetched.set(scope, { session, stored: hold(this.#read(session)) });
	}

	/** @throws `SESSION_INFO_NOT_FOUND`, `SESSION_INFO_DAMAGED`, `SESSION_INFO_READ_FAILED`, `INVALID_SESSION_ID` */
	getClientInfo(id: string): Promise<ClientInfo> {
		return hold(this.#get(id, 'clientInfo'));
	}

	/** `undefined` forgets it. */
	setClientInfo(id: string, clientInfo: ClientInfo | undefined): Promise<void> {
		return this.#set(id, 'clientInfo', clientInfo);
	}

	/**
	 * Reads client info and log level too, for {@link getClientInfo} and {@link getLogLevel}: tmcp's transports call all three
	 * on each POST, this one first, and so need one KV round trip.
	 * @throws `SESSION_INFO_NOT_FOUND`, `SESSION_INFO_DAMAGED`, `SESSION_INFO_READ_FAILED`, `INVALID_SESSION_ID`
	 */
	getClientCapabilities(id: string): Promise<ClientCapabilities> {
		return hold(this.#get(id, 'clientCapabilities'));
	}

	/** `undefined` forgets them. */
	setClientCapabilities(id: string, capabilities: ClientCapabilities | undefined): Promise<void> {
		return this.#set(id, 'clientCapabilities', capabilities);
	}

	/** @throws `SESSION_INFO_NOT_FOUND`, `SESSION_INFO_DAMAGED`, `SESSION_INFO_READ_FAILED`, `INVALID_SESSION_ID` */
	getLogLevel(id: string): Promise<LogLevel> {
		return hold(this.#get(id, 'logLevel'));
	}

	/** `undefined` forgets it. */
	setLogLevel(id: string, level: LogLevel | undefined): Promise<void> {
		return this.#set(id, 'logLevel', level);
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
		return this.#changeSubscription(id, uri, (key) => this.#store.put(key, ''));
	}

	/** Unsubscribe a session from a URI. */
	removeSubscription(id: string, uri: string): Promise<void> {
		return this.#changeSubscription(id, uri, (key) => this.#store.delete(key));
	}

	/**
	 * What is stored for a session, except what is damaged, for a {@link DurableObjectInfoSessionManager} that takes it over:
	 * what its client told, and its subscriptions, by the SHA-256 of each URI in base64url. One read and one list.
	 * @throws `SESSION_INFO_READ_FAILED`, `INVALID_SESSION_ID`
	 */
	everythingOf(id: string): Promise<{ info: SessionInfo; resources: string[] }> {
		return hold(this.#everythingOf(parseSessionId(id)));
	}

	/** Delete all that is stored for the session. Costs one list, three deletions, and two for each subscription. */
	delete(id: string): Promise<void> {
		if (tellsHomes()) return Promise.resolve();
		return this.#reported(async () => {
			const session = parseSessionId(id);
			this.#forgetReads();
			const info = Object.values(infoKeys).map((key) => this.#store.delete(key(session)));
			await this.#failures.settle([...info, this.#deleteSubscriptions(session)]);
		});
	}

	/**
	 * Write all that is stored for the session again, if half of the `ttl` is over for any of it. The getters do that by
	 * themselves; this is for a session that sends no requests, but has an open stream.
	 */
	touch(id: string): Promise<void> {
		return this.#reported(async () => {
			const session = parseSessionId(id);
			const readAt = Date.now();
			const [stored, subscriptions] = await Promise.all([
				this.#read(session),
				this.#subscriptionsOf(session),
			]);
			if (!this.#isRenewalDue([...Object.values(stored), ...subscriptions])) return;
			const written = [
				...Object.values(stored).filter((entry) => entry !== undefined),
				...subscriptions.flatMap(({ forward, reverse }) => [
					{ key: reverse, text: '' },
					{ key: forward, text: '' },
				]),
			];
			await this.#failures.settle(
				written.map(({ key, text }) => this.#store.renew(key, text, readAt)),
			);
		});
	}

	async #get<Name extends Field>(
		id: string,
		field: Name,
	): Promise<v.InferOutput<(typeof SCHEMAS)[Name]>> {
		const session = parseSessionId(id);
		const entry = (await this.#storedFor(session, field))[field];
		const result = entry && validate(SCHEMAS[field], parseJson(entry.text));
		if (result?.kind === 'valid') return result.output;
		const what = await describe(field, session);
		if (!result) {
			throw new SessionManagerError(
				'SESSION_INFO_NOT_FOUND',
				`nothing is stored as ${what}. It was never set, has expired, or is not visible here yet.`,
			);
		}
		throw new SessionManagerError(
			'SESSION_INFO_DAMAGED',
			`what is stored as ${what} is ${quote(entry.text)} (${result.issue}). Delete the key ${infoKeys[field]('<session id>')}; the client sets it when it initialises again.`,
		);
	}

	async #everythingOf(session: string): Promise<{ info: SessionInfo; resources: string[] }> {
		const [stored, subscriptions, prefix] = await Promise.all([
			this.#read(session),
			this.#subscriptionsOf(session),
			subscribedPrefix(session),
		]);
		const valueOf = <Name extends Field>(field: Name) => {
			const result = validate(SCHEMAS[field], parseJson(stored[field]?.text ?? ''));
			return result.kind === 'valid' ? result.output : undefined;
		};
		return {
			info: {
				clientInfo: valueOf('clientInfo'),
				clientCapabilities: valueOf('clientCapabilities'),
				logLevel: valueOf('logLevel'),
			},
			resources: subscriptions.map(({ reverse }) => reverse.slice(prefix.length)),
		};
	}

	#set(id: string, field: Field, value: unknown): Promise<void> {
		const begun = currentScope()?.beginning?.heardBy(this);
		return this.#reported(async () => {
			const session = parseSessionId(id);
			const key = infoKeys[field](session);
			this.#forgetReads();
			if (begun && !(await begun)) return;
			if (value === undefined) return this.#store.delete(key);
			const result = validate(SCHEMAS[field], value);
			if (result.kind === 'valid') return this.#store.put(key, toStoredInfo(value));
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				`${await describe(field, session)} was not stored (${result.issue}).`,
			);
		});
	}

	#changeSubscription(
		id: string,
		uri: string,
		write: (key: string) => Promise<void>,
	): Promise<void> {
		return this.#reported(async () => {
			const session = parseSessionId(id);
			const uriHash = await hash(parseUri(uri));
			const reverse = (await subscribedPrefix(session)) + uriHash;
			const forward = subscribersPrefix(uriHash) + session;
			await this.#failures.settle([write(reverse), write(forward)]);
		});
	}

	async #subscribers(uri: string): Promise<string[]> {
		const prefix = subscribersPrefix(await hash(parseUri(uri)));
		const listed = await this.#store.list(prefix);
		// A key that ends in anything else was not written by this library.
		return listed.map(({ key }) => key.slice(prefix.length)).filter(isSessionId);
	}

	async #deleteSubscriptions(session: string): Promise<void> {
		const subscriptions = await this.#subscriptionsOf(session);
		await this.#failures.settle(
			subscriptions.map(async ({ forward, reverse }) => {
				await this.#store.delete(forward);
				// Last, because it is by this key that a second delete finds what the first one did not get to.
				await this.#store.delete(reverse);
			}),
		);
	}

	async #subscriptionsOf(session: string): Promise<Subscription[]> {
		const prefix = await subscribedPrefix(session);
		const listed = await this.#store.list(prefix);
		return listed.map(({ key, writtenAt }) => ({
			forward: subscribersPrefix(key.slice(prefix.length)) + session,
			reverse: key,
			writtenAt,
		}));
	}

	/**
	 * Reads KV once for the three questions that tmcp's transports ask on each POST. `clientCapabilities` is the first of
	 * them, so it always gets a new read, and the other two get that one. What is kept between them is plain data, because
	 * a request cannot wait for a promise of another one.
	 */
	async #storedFor(session: string, field: Field): Promise<Stored> {
		const isFirst = field === 'clientCapabilities';
		const last = this.#lastRead;
		if (!isFirst && last?.session === session && Date.now() - last.at < MAX_READ_AGE_MS) {
			return last.stored;
		}
		const stored = await (this.#takePrefetched(session) ?? this.#read(session));
		if (this.#isRenewalDue(Object.values(stored))) void this.touch(session);
		if (isFirst) this.#lastRead = { session, at: Date.now(), stored };
		return stored;
	}

	/** Each is used once: a later question in a long request must see what was written meanwhile. */
	#takePrefetched(session: string): Promise<Stored> | undefined {
		const scope = currentScope();
		const prefetched = scope && this.#prefetched.get(scope);
		if (!prefetched || prefetched.session !== session) return undefined;
		this.#prefetched.delete(scope);
		return prefetched.stored;
	}

	/** Call it before a write, so that no question is answered with what was read before. */
	#forgetReads(): void {
		const scope = currentScope();
		if (scope) this.#prefetched.delete(scope);
		this.#lastRead = undefined;
	}

	async #read(session: string): Promise<Stored> {
		const [clientInfo, clientCapabilities, logLevel] = await this.#store.read([
			infoKeys.clientInfo(session),
			infoKeys.clientCapabilities(session),
			infoKeys.logLevel(session),
		]);
		return { clientInfo, clientCapabilities, logLevel };
	}

	#isRenewalDue(stored: ({ writtenAt: number } | undefined)[]): boolean {
		const dueBefore = (Date.now() - 2 * this.touchIntervalMs) / 1000;
		return stored.some((entry) => entry && entry.writtenAt <= dueBefore);
	}

	/** Do work that nobody awaits: hold it, and report each failure once. */
	#reported(work: () => Promise<void>): Promise<void> {
		return hold(this.#failures.settle([work()]));
	}
}

/** For an error text. */
async function describe(field: Field, session: string): Promise<string> {
	return `${field} of the session with the hash ${await shortHash(session)}`;
}
