import type { InfoSessionManager } from '@tmcp/session-manager';
import * as v from 'valibot';
import { SessionManagerError } from '../../errors.ts';
import type { BroadcastResult, SessionSummary, SyncLayerStats } from '../../wire/answers.ts';
import {
	normaliseNotification,
	type Notification,
	parseBoundedUri,
	parseBroadcast,
	parseSessionId,
} from '../../wire/arguments.ts';
import { hasMethod, parseOptions } from '../../wire/options.ts';
import { readSessionId } from '../../wire/session-id.ts';
import { accountOf } from '../account.ts';
import { writeEvent } from '../content.ts';
import { hash } from '../hash.ts';
import { resourceOf } from '../info/subscribers.ts';
import { type Homes, homesOf, type SessionHomes } from '../routing/homes.ts';
import { callObject } from '../routing/object.ts';
import { answersOf, sendToHomes, type SentTo } from '../routing/send.ts';

const RESOURCE_UPDATED = 'notifications/resources/updated';

const OptionsSchema = v.strictObject({
	path: v.optional(v.nullable(v.string()), '/mcp'),
	info: v.optional(
		v.custom<SubscriptionSource>(
			(value) => hasMethod(value, 'getSubscriptions'),
			'info is not a KVInfoSessionManager, nor anything else with getSubscriptions()',
		),
	),
});

/** @inline */
type SubscriptionSource = Pick<InfoSessionManager, 'getSubscriptions'>;

/** Options of {@link SyncLayerClient}. */
export interface SyncLayerClientOptions {
	/** The `path` of the gateway (default `/mcp`), for {@link SyncLayerClient.endAll}. */
	path?: string | null;
	/**
	 * The server's `KVInfoSessionManager`: it knows which sessions are subscribed to a resource. Default: the objects know it,
	 * from a `DurableObjectInfoSessionManager`.
	 */
	info?: SubscriptionSource;
}

/** A notification of MCP that a server sends without being asked. */
export type ServerNotification =
	| 'notifications/tools/list_changed'
	| 'notifications/prompts/list_changed'
	| 'notifications/resources/list_changed'
	| typeof RESOURCE_UPDATED
	| 'notifications/message'
	| (string & {});

/** What became of {@link SyncLayerClient.notify}. */
export interface Notified extends BroadcastResult {
	/** How many listen streams it was handed to. */
	listeners: number;
}

/** One session of {@link SyncLayerClient.sessions}. */
export interface ListedSession extends SessionSummary {
	/**
	 * When it began, in milliseconds since 1970, to the second: that stands in its id. `undefined` for an id that no gateway
	 * has made.
	 */
	begunAt: number | undefined;
}

/** One page of {@link SyncLayerClient.sessions}. */
export interface SessionPage {
	sessions: ListedSession[];
	/** For the next page; `undefined` on the last one. It contains a session id: keep it on the server. */
	cursor: string | undefined;
}

/** The answer of {@link SyncLayerClient.stats}. */
export interface AllStats {
	/** By the home's label. */
	homes: Record<string, SyncLayerStats>;
	sum: SyncLayerStats;
}

/**
 * Reaches the clients of an MCP server from anywhere else: another Worker, a queue, a cron trigger. It needs no tmcp.
 *
 * ```ts
 * import { SyncLayerClient } from '@tmcp/session-manager-durable-objects/client';
 *
 * const clients = new SyncLayerClient('TMCP_DURABLE_OBJECT');
 * await clients.notify('notifications/resources/updated', { uri: 'memo://1' });
 * ```
 *
 * Safe to construct at module scope. Its methods reject with a `SessionManagerError`: their own codes, and
 * `BINDING_MISSING`, `BINDING_WRONG_KIND`, `OBJECT_FAILED`. Where only some homes failed, the message names them.
 */
export class SyncLayerClient {
	#homes: SessionHomes;
	#options: v.InferOutput<typeof OptionsSchema>;

	/**
	 * @param binding name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), the namespace itself, or
	 * `SessionHomes` with the options of the server
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(binding?: Homes, options?: SyncLayerClientOptions) {
		this.#homes = homesOf(binding);
		this.#options = parseOptions(OptionsSchema, options, 'SyncLayerClient');
	}

	/**
	 * Send a notification to the sessions and to the listen streams that it concerns: the update of a resource to its
	 * subscribers, anything else to all sessions. One call for each home.
	 * @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
	 */
	async notify(method: ServerNotification, params?: Record<string, unknown>): Promise<Notified> {
		const notification = normaliseNotification({ jsonrpc: '2.0', method, params });
		const { sessions, ...options } =
			method === RESOURCE_UPDATED
				? await this.#subscribersOf(parseBoundedUri(params?.['uri']))
				: { sessions: undefined };
		const data = writeEvent(notification);
		const broadcast = parseBroadcast(sessions, data, { id: crypto.randomUUID(), ...options });
		const publish = { notifications: [notification], options: { id: crypto.randomUUID() } };
		const sent = await sendToHomes(this.#homes, [broadcast], publish);
		const listeners = sent.reduce((total, { published }) => total + published, 0);
		return { ...sumOf(sent), listeners };
	}

	/**
	 * Send whole SSE events to the named sessions, or to all: `SyncLayer.broadcast` over all homes.
	 * @throws `INVALID_SESSION_ID`, `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
	 */
	async broadcast(
		sessions: readonly string[] | undefined,
		data: string,
		options?: { id?: string },
	): Promise<BroadcastResult> {
		const given = { id: options?.id ?? crypto.randomUUID() };
		const broadcast = parseBroadcast(sessions, data, given);
		return sumOf(await sendToHomes(this.#homes, [broadcast]));
	}

	/**
	 * Send notifications to the listen streams that asked for them: `SyncLayer.publish` over all homes.
	 * @returns how many times one was handed to a stream
	 * @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
	 */
	async publish(
		notifications: readonly Notification[],
		options?: { id?: string },
	): Promise<number> {
		const given = { id: options?.id ?? crypto.randomUUID() };
		const sent = await sendToHomes(this.#homes, [], { notifications, options: given });
		return sent.reduce((total, { published }) => total + published, 0);
	}

	/** Whether a session has an open stream. @throws `INVALID_SESSION_ID` */
	async has(session: string): Promise<boolean> {
		const id = parseSessionId(session);
		return callObject(this.#homes.of(id), (stub) => stub.has(id));
	}

	/** End a session. @returns whether it had a stream @throws `INVALID_SESSION_ID` */
	async end(session: string): Promise<boolean> {
		const id = parseSessionId(session);
		return callObject(this.#homes.of(id), (stub) => stub.end(id));
	}

	/**
	 * End all sessions of an owner, and its listen streams: one that is between two sockets ends when it comes back.
	 * @param owner as the gateway's `owner` names it
	 * @returns how many sessions there were
	 * @throws `SQLITE_MISSING`
	 */
	async endAll(owner: string): Promise<number> {
		const account = await accountOf(this.#options.path, owner);
		const labels = await this.#homes.labels();
		const called = await this.#homes.callEach<number>(labels, (stub) => stub.endOwner(account));
		const ended = answersOf(called, () => 'whose sessions go on');
		return ended.reduce((total, count) => total + count, 0);
	}

	/**
	 * The sessions of all homes, a page at a time, home by home. For operators: see `SyncLayer.listSessions`.
	 * @param options `cursor` of the page before; `limit`: at most 1,000 (default 100)
	 * @throws `INVALID_ARGUMENT`, `SQLITE_MISSING`
	 */
	async sessions(options: { cursor?: string; limit?: number } = {}): Promise<SessionPage> {
		const { cursor, limit = 100 } = options;
		const labels = (await this.#homes.labels()).toSorted();
		const [, label = '', after = ''] = /^(\S+) (.*)$/.exec(cursor ?? `${labels[0]} `) ?? [];
		const place = labels.indexOf(label);
		if (place < 0) throw new SessionManagerError('INVALID_ARGUMENT', 'this is not a cursor.');
		const summaries: SessionSummary[] = await callObject(this.#homes.at(label), (stub) =>
			stub.listSessions({ after, limit }),
		);
		const sessions = summaries.map((summary) => ({
			...summary,
			begunAt: readSessionId(summary.sessionId)?.madeAt,
		}));
		const last = sessions.length < limit ? undefined : sessions.at(-1);
		const next = labels[place + 1];
		if (last) return { sessions, cursor: `${label} ${last.sessionId}` };
		return { sessions, cursor: next === undefined ? undefined : `${next} ` };
	}

	/** What all homes hold at this moment, each and in sum: see `SyncLayer.stats`. */
	async stats(): Promise<AllStats> {
		const labels = await this.#homes.labels();
		const called = await this.#homes.callEach<SyncLayerStats>(labels, (stub) => stub.stats());
		const stats = answersOf(called, () => 'which is not counted');
		return {
			homes: Object.fromEntries(stats.map((of, index) => [labels[index] ?? '', of])),
			sum: stats.reduce(plus),
		};
	}

	async #subscribersOf(uri: string): Promise<{ sessions: string[]; resource?: string }> {
		const { info } = this.#options;
		if (!info) return { sessions: [], resource: await hash(uri) };
		const sessions = await info.getSubscriptions(uri);
		// What `DurableObjectInfoSessionManager.with()` made stands for the subscribers, and does not name them.
		const resource = resourceOf(sessions);
		return resource === undefined ? { sessions } : { sessions: [], resource };
	}
}

function sumOf(sent: readonly SentTo[]): BroadcastResult {
	const results = sent.flatMap(({ broadcasts }) => broadcasts);
	const total = (of: 'delivered' | 'waiting' | 'missed') =>
		results.reduce((sum, result) => sum + (result[of] ?? 0), 0);
	return {
		delivered: total('delivered'),
		waiting: results.some(({ waiting }) => waiting === undefined) ? undefined : total('waiting'),
		missed: total('missed'),
		...(results.length > 0 && results.every(({ duplicate }) => duplicate)
			? { duplicate: true as const }
			: {}),
	};
}

function plus(one: SyncLayerStats, other: SyncLayerStats): SyncLayerStats {
	return {
		streams: one.streams + other.streams,
		sessions: one.sessions + other.sessions,
		subscriptions: one.subscriptions + other.subscriptions,
		log:
			one.log && other.log
				? {
						events: one.log.events + other.log.events,
						bytes: one.log.bytes + other.log.bytes,
						waiting: one.log.waiting + other.log.waiting,
						gaps: one.log.gaps + other.log.gaps,
					}
				: (one.log ?? other.log),
	};
}
