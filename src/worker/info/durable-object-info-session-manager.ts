import type { InfoSessionManager } from '@tmcp/session-manager';
import * as v from 'valibot';
import { SessionManagerError } from '../../errors.ts';
import { type InfoChange, parseBoundedUri, parseSessionId } from '../../wire/arguments.ts';
import { MAX_INFO_CHANGES } from '../../wire/limits.ts';
import { hasMethod, parseOptions } from '../../wire/options.ts';
import {
	type ClientCapabilities,
	type ClientInfo,
	type InfoField,
	type LogLevel,
	SESSION_INFO_ENTRIES,
} from '../../wire/session-info.ts';
import { validate } from '../../wire/validate.ts';
import { parseJson } from '../content.ts';
import { hash, shortHash } from '../hash.ts';
import { hold } from '../request/hold.ts';
import { Outbox } from '../request/outbox.ts';
import { currentScope, tellsHomes } from '../request/request-scope.ts';
import type { Answered } from '../routing/answered.ts';
import { type Homes, homesOf, type SessionHomes } from '../routing/homes.ts';
import { callObject, type SyncLayerStub } from '../routing/object.ts';
import { answersOf } from '../routing/send.ts';
import type { DurableObjectStreamSessionManager } from '../streams/durable-object-stream-session-manager.ts';
import { Admissions } from './admissions.ts';
import type { KVInfoSessionManager } from './kv-info-session-manager.ts';
import { RequestReads } from './request-reads.ts';
import { subscribersOf } from './subscribers.ts';
import { OnErrorSchema, WriteFailures } from './write-failures.ts';

const QUESTIONS = ['clientInfo', 'clientCapabilities', 'logLevel'] as const;

const OptionsSchema = v.strictObject({
	fallback: v.optional(
		// Not `instanceof`: each bundle with this class would have that one too.
		v.custom<KVInfoSessionManager>(
			(value) => hasMethod(value, 'everythingOf'),
			'fallback is not a KVInfoSessionManager',
		),
	),
	onError: OnErrorSchema,
});

/** Options of {@link DurableObjectInfoSessionManager}. */
export interface ObjectInfoSessionManagerOptions {
	/**
	 * Where sessions come from, for a server that changes over from KV: what KV holds of a session is moved to the object
	 * when it is asked for first. Leave it out once the `ttl` of that manager is over.
	 */
	fallback?: KVInfoSessionManager;
	/** Called once for each call that failed to write (default: `console.error`). */
	onError?: (error: SessionManagerError) => void | Promise<void>;
}

interface Item {
	session: string;
	change: InfoChange | Promise<InfoChange>;
}

/**
 * Keeps what a client said when it initialised, its log level and its subscriptions in the `SyncLayer` object, in the row
 * that the session has there anyway: strongly consistent, gone when the session ends or expires, and with no KV. Give it to
 * tmcp's transports, and to the {@link SessionGateway}:
 *
 * ```ts
 * const streams = new DurableObjectStreamSessionManager('TMCP_DURABLE_OBJECT');
 * const info = new DurableObjectInfoSessionManager('TMCP_DURABLE_OBJECT');
 * const transport = new HttpTransport(server, { sessionManager: info.with(streams) });
 * const gateway = new SessionGateway(transport, 'TMCP_DURABLE_OBJECT', { info });
 * ```
 *
 * What a POST needs comes with the gateway's call, or takes one call without a gateway. What one request writes arrives in
 * order, and together where it can.
 *
 * Needs a class with SQLite. Safe to construct at module scope. All its work is held with `waitUntil`. Getters reject with a
 * {@link SessionManagerError}; the other methods, which tmcp's transports neither await nor catch, never do: their failures
 * go to `onError`, and what they return resolves when the work is done.
 */
export class DurableObjectInfoSessionManager implements InfoSessionManager {
	#homes: SessionHomes;
	#fallback: KVInfoSessionManager | undefined;
	#failures: WriteFailures;
	#reads = new RequestReads();
	#admissions = new Admissions();
	#outbox = new Outbox<Item>((items) => this.#write(items), MAX_INFO_CHANGES);

	/**
	 * @param binding name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), the namespace itself, or
	 * {@link SessionHomes}: that of the stream manager
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(binding?: Homes, options?: ObjectInfoSessionManagerOptions) {
		const { fallback, onError } = parseOptions(
			OptionsSchema,
			options,
			'DurableObjectInfoSessionManager',
		);
		this.#homes = homesOf(binding);
		this.#fallback = fallback;
		this.#failures = new WriteFailures(onError);
	}

	/**
	 * Both managers as a transport takes them. With this the update of a resource is one call: the object itself sends it to
	 * the resource's subscribers, where otherwise their ids come here and go back.
	 *
	 * The `getSubscriptions` of its `info` stands for the subscribers and can only be sent to: to read them, ask this
	 * manager.
	 * @param streams a stream manager of the same object
	 */
	with(streams: DurableObjectStreamSessionManager): {
		streams: DurableObjectStreamSessionManager;
		info: InfoSessionManager;
	} {
		const info: InfoSessionManager = {
			getClientInfo: (id) => this.getClientInfo(id),
			setClientInfo: (id, clientInfo) => this.setClientInfo(id, clientInfo),
			getClientCapabilities: (id) => this.getClientCapabilities(id),
			setClientCapabilities: (id, capabilities) => this.setClientCapabilities(id, capabilities),
			getLogLevel: (id) => this.getLogLevel(id),
			setLogLevel: (id, level) => this.setLogLevel(id, level),
			// What KV still holds has to be read here.
			getSubscriptions: (uri) =>
				this.#fallback ? this.getSubscriptions(uri) : hold(this.#resource(uri).then(subscribersOf)),
			addSubscription: (id, uri) => this.addSubscription(id, uri),
			removeSubscription: (id, uri) => this.removeSubscription(id, uri),
			delete: (id) => this.delete(id),
		};
		return { streams, info };
	}

	/**
	 * `SyncLayer.admit` for a {@link SessionGateway}: what is known of the session comes with it, and answers the questions
	 * of the same request.
	 * @param willChange whether the request is to change it, which is then part of the same call
	 */
	async admit(session: string, owner: string, willChange = false): Promise<boolean> {
		const admitted: Answered | undefined = await this.#ask(session, (stub) =>
			stub.admitWithInfo(session, owner, willChange ? 'change' : undefined),
		);
		if (!admitted) return false;
		this.#reads.keep(session, admitted.info, QUESTIONS);
		if (admitted.session) {
			this.#admissions.keep(session, admitted, () => this.#outbox.idle());
		}
		return true;
	}

	/** @throws `SESSION_INFO_NOT_FOUND`, `SESSION_INFO_DAMAGED`, `OBJECT_FAILED`, `INVALID_SESSION_ID` */
	getClientInfo(id: string): Promise<ClientInfo> {
		return hold(this.#get(id, 'clientInfo'));
	}

	/** `undefined` forgets it. */
	setClientInfo(id: string, clientInfo: ClientInfo | undefined): Promise<void> {
		return this.#set(id, 'clientInfo', clientInfo);
	}

	/** @throws `SESSION_INFO_NOT_FOUND`, `SESSION_INFO_DAMAGED`, `OBJECT_FAILED`, `INVALID_SESSION_ID` */
	getClientCapabilities(id: string): Promise<ClientCapabilities> {
		return hold(this.#get(id, 'clientCapabilities'));
	}

	/** `undefined` forgets them. */
	setClientCapabilities(id: string, capabilities: ClientCapabilities | undefined): Promise<void> {
		return this.#set(id, 'clientCapabilities', capabilities);
	}

	/** @throws `SESSION_INFO_NOT_FOUND`, `SESSION_INFO_DAMAGED`, `OBJECT_FAILED`, `INVALID_SESSION_ID` */
	getLogLevel(id: string): Promise<LogLevel> {
		return hold(this.#get(id, 'logLevel'));
	}

	/** `undefined` forgets it. */
	setLogLevel(id: string, level: LogLevel | undefined): Promise<void> {
		return this.#set(id, 'logLevel', level);
	}

	/**
	 * The sessions that are subscribed to exactly this URI, each once.
	 * @throws `OBJECT_FAILED`, `INVALID_ARGUMENT`, and with a `fallback` `SESSION_INFO_READ_FAILED`
	 */
	getSubscriptions(uri: string): Promise<string[]> {
		return hold(this.#subscribers(uri));
	}

	/** Subscribe a session to a URI of at most 65,536 characters. */
	addSubscription(id: string, uri: string): Promise<void> {
		return this.#change(id, () => ofResource(uri, (subscribe) => ({ subscribe })));
	}

	/** Unsubscribe a session from a URI. */
	removeSubscription(id: string, uri: string): Promise<void> {
		return this.#change(id, () => ofResource(uri, (unsubscribe) => ({ unsubscribe })));
	}

	/** Delete all that is stored for the session. Where the gateway has ended it, there is nothing left to delete. */
	delete(id: string): Promise<void> {
		if (tellsHomes(this.#homes)) return Promise.resolve();
		const ended = currentScope()?.ended;
		const hasEnded = ended?.session === id && ended.info === this;
		const deleted = hasEnded ? Promise.resolve() : this.#change(id, () => ({ forget: true }));
		return this.#fallback?.delete(id).then(() => deleted) ?? deleted;
	}

	async #get<Name extends InfoField>(
		id: string,
		field: Name,
	): Promise<v.InferOutput<(typeof SESSION_INFO_ENTRIES)[Name]>> {
		const session = parseSessionId(id);
		const value: unknown = Reflect.get(Object(await this.#infoFor(session, field)), field);
		const result = validate(SESSION_INFO_ENTRIES[field], value);
		if (result.kind === 'valid') return result.output;
		const what = `${field} of the session with the hash ${await shortHash(session)}`;
		throw value === undefined || value === null
			? new SessionManagerError(
					'SESSION_INFO_NOT_FOUND',
					`nothing is stored as ${what}. It was never set, or the session has ended or expired.`,
				)
			: new SessionManagerError(
					'SESSION_INFO_DAMAGED',
					`what is stored as ${what} is not valid (${result.issue}). The client sets it when it initialises again.`,
				);
	}

	async #infoFor(session: string, field: InfoField): Promise<unknown> {
		const told = currentScope()?.beginning?.of(session);
		if (told) return told;
		await this.#outbox.idle();
		const known = this.#reads.take(session, field);
		const info = known ? known.info : await this.#ask(session, (stub) => stub.infoOf(session));
		const fallback = info === undefined ? this.#fallback : undefined;
		const current = fallback ? await this.#move(session, fallback) : info;
		if (!known || fallback) {
			const others = QUESTIONS.filter((question) => question !== field);
			this.#reads.keep(session, current, others);
		}
		return current === undefined ? undefined : parseJson(current);
	}

	/** Nothing was ever told of the session here: take over what KV holds. From now on something was, if only nothing. */
	async #move(session: string, from: KVInfoSessionManager): Promise<string> {
		const { info, resources } = await from.everythingOf(session);
		const changes = [{ set: info }, ...resources.map((subscribe) => ({ subscribe }))];
		await this.#inform(session, changes);
		await from.delete(session);
		return JSON.stringify(info);
	}

	#set(id: string, field: InfoField, value: unknown): Promise<void> {
		void currentScope()?.beginning?.heardBy(this);
		return this.#change(id, () => {
			if (value === undefined) return { set: { [field]: null } };
			const result = validate(SESSION_INFO_ENTRIES[field], value);
			if (result.kind === 'valid') return { set: { [field]: value } };
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				`${field} was not stored (${result.issue}).`,
			);
		});
	}

	async #subscribers(uri: string): Promise<string[]> {
		const resource = await this.#resource(uri);
		const [sessions, others = []] = await Promise.all([
			this.#subscribersIn(resource),
			this.#fallback?.getSubscriptions(uri),
		]);
		return [...new Set([...sessions, ...others])];
	}

	/** The hash of a URI, once what this request has written is there. */
	async #resource(uri: string): Promise<string> {
		const resource = await hash(parseBoundedUri(uri));
		await this.#outbox.idle();
		return resource;
	}

	/** It is in its place in the order before anything is awaited. */
	#change(id: string, make: () => InfoChange | Promise<InfoChange>): Promise<void> {
		const work = async () => {
			const session = parseSessionId(id);
			this.#reads.forget();
			const change = make();
			const set = change instanceof Promise ? undefined : change.set;
			const told = set && currentScope()?.beginning?.tell(session, set);
			await (told ?? this.#outbox.add({ session, change }, 1));
		};
		return hold(this.#failures.settle([work()]));
	}

	/** Never rejects: what fails is reported once, however much of it leaves together. */
	async #write(items: readonly Item[]): Promise<void> {
		const calls = Array.from(
			Map.groupBy(items, ({ session }) => session),
			async ([session, of]) => {
				const changes = await Promise.all(of.map(({ change }) => change));
				await this.#inform(session, changes);
			},
		);
		await this.#failures.settle(calls);
	}

	/** Ask the object of a session. Only `#inform` can begin a session, so only that registers its home. */
	#ask<T>(session: string, work: (stub: SyncLayerStub) => Promise<T>): Promise<T> {
		return callObject(this.#homes.of(session), work);
	}

	async #inform(session: string, changes: readonly InfoChange[]): Promise<void> {
		if (await this.#admissions.inform(session, changes)) return;
		await callObject(this.#homes.toBegin(session), async (stub) => {
			await stub.inform(session, changes);
		});
	}

	/** Of all homes. */
	async #subscribersIn(resource: string): Promise<string[]> {
		const called = await this.#homes.callAll((stub) => stub.relay({ subscribersOf: resource }));
		const answers = answersOf(called, () => 'whose subscribers are not known');
		return answers.flatMap(({ subscribers }) => subscribers);
	}
}

/** @throws `INVALID_ARGUMENT` at once, and not by what it returns */
function ofResource(uri: string, change: (resource: string) => InfoChange): Promise<InfoChange> {
	return hash(parseBoundedUri(uri)).then(change);
}
