import { resourcesOf } from './session-info.ts';
import type { SessionRow } from './session-row.ts';

/**
 * How many subscriptions are held in memory. Each takes 420 bytes there, if no two are to the same resource or of the same
 * session: 42 MB of the 128 that an object has (https://developers.cloudflare.com/durable-objects/platform/limits/).
 */
const MAX_INDEXED = 100_000;

/** Of a session that is subscribed to something: to what, and what tells whether it is alive. */
type Indexed = Pick<SessionRow, 'state' | 'expiresAt'> & { resources: string };

type Found = Indexed & { session: string };

const FIND = `SELECT session_id AS session, state, expires_at AS expiresAt, resources FROM tmcp_sessions
	WHERE resources IS NOT NULL AND state <> 'ended'`;

/**
 * Which session is subscribed to which resource. The subscriptions of a session stand in its row, so that they are written
 * with it and gone with it; the sessions of a resource are found in memory.
 *
 * The first call after a wake that asks for them reads all rows of sessions, once; the next ones read nothing, because
 * every change of a row is told. With over 100,000 subscriptions each call reads all rows.
 */
export class Subscribers {
	#sql: SqlStorage;
	#maxIndexed: number;
	/** By session; `undefined` until somebody asks, and where there are too many subscriptions. */
	#sessions: Map<string, Indexed> | undefined;
	#areTooMany = false;
	/** By resource. */
	#resources = new Map<string, Set<string>>();
	#count = 0;

	constructor(sql: SqlStorage, maxIndexed = MAX_INDEXED) {
		this.#sql = sql;
		this.#maxIndexed = maxIndexed;
	}

	/** The sessions that are subscribed to a resource, and have neither ended nor expired. */
	to(resource: string, now: number): string[] {
		const sessions = this.#sessions ?? (this.#areTooMany ? undefined : this.#index());
		if (!sessions) return this.#search(resource, now);
		return [...(this.#resources.get(resource) ?? [])].filter((session) => {
			const row = sessions.get(session);
			return row !== undefined && isAlive(row, now);
		});
	}

	/** A session's row is another one now; `undefined` where it has none any more. */
	changed(session: string, row: SessionRow | undefined): void {
		const sessions = this.#sessions;
		if (!sessions) return;
		const before = sessions.get(session);
		if (before?.resources !== row?.resources) {
			for (const resource of resourcesOf(before)) this.#remove(session, resource);
			for (const resource of resourcesOf(row)) this.#add(session, resource);
		}
		if (row?.resources === undefined) sessions.delete(session);
		else {
			const { state, expiresAt, resources } = row;
			sessions.set(session, { state, expiresAt, resources });
		}
		if (this.#count > this.#maxIndexed) this.#giveUp();
	}

	#index(): Map<string, Indexed> | undefined {
		this.#clear();
		const sessions = new Map<string, Indexed>();
		for (const { session, ...indexed } of this.#sql.exec<Found>(FIND)) {
			sessions.set(session, indexed);
			for (const resource of resourcesOf(indexed)) this.#add(session, resource);
			if (this.#count > this.#maxIndexed) {
				this.#giveUp();
				return undefined;
			}
		}
		return (this.#sessions = sessions);
	}

	#search(resource: string, now: number): string[] {
		const rows = this.#sql.exec<Found>(`${FIND} AND instr(resources, ?) > 0`, resource).toArray();
		return rows.filter((row) => isAlive(row, now)).map(({ session }) => session);
	}

	#add(session: string, resource: string): void {
		const sessions = this.#resources.get(resource);
		if (sessions) sessions.add(session);
		else this.#resources.set(resource, new Set([session]));
		this.#count++;
	}

	#remove(session: string, resource: string): void {
		const sessions = this.#resources.get(resource);
		if (!sessions?.delete(session)) return;
		this.#count--;
		if (sessions.size === 0) this.#resources.delete(resource);
	}

	/** Until the object wakes the next time. */
	#giveUp(): void {
		this.#areTooMany = true;
		this.#clear();
	}

	#clear(): void {
		this.#sessions = undefined;
		this.#resources.clear();
		this.#count = 0;
	}
}

function isAlive({ state, expiresAt }: Indexed, now: number): boolean {
	return state === 'open' || (state !== 'ended' && expiresAt > now);
}
