import type { SessionSummary } from '../wire/answers.ts';
import type { parseInspectOptions } from '../wire/arguments.ts';
import type {
	Inspected,
	InspectedEvent,
	InspectedPage,
	InspectedSession,
	ListenerSummary,
} from '../wire/inspection.ts';
import { STREAM_TAG } from '../wire/names.ts';
import { readSessionId } from '../wire/session-id.ts';
import type { EventLog } from './log/event-log.ts';
import { clientOf } from './sessions/session-info.ts';
import type { SessionRow } from './sessions/session-row.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { Streams } from './sessions/streams.ts';
import { isOpen } from './sockets/sockets.ts';
import type { Subscriptions } from './subscriptions/subscriptions.ts';

/** How many rows one page of sessions looks at: between those that live there may be any number that have ended. */
const SCANNED_ROWS = 1_000;

/** Among how many of the newest events those are counted that wait for a session. */
const COUNTED_EVENTS = 1_000;

/** How much of a payload is read. */
const HEAD_CHARS = 2_000;

const MAX_NAME_CHARS = 100;

/** What an object has, for an operator to look at. */
export interface Inspectable {
	ctx: DurableObjectState;
	log: EventLog | undefined;
	sessions: Sessions;
	streams: Streams;
	subscriptions: Subscriptions;
	/** Whether a session has neither ended nor expired. */
	isAlive(row: SessionRow): boolean;
}

type Asked = ReturnType<typeof parseInspectOptions>;
type AskedFor<Part extends keyof Asked> = NonNullable<Asked[Part]>;

/** What an operator's page is told of an object. Changes nothing; a row that waits to be written is written first. */
export function inspectionOf(object: Inspectable, asked: Asked): Inspected {
	const { ctx, log, sessions, subscriptions } = object;
	return {
		streams: ctx.getWebSockets(STREAM_TAG).filter(isOpen).length,
		listeners: subscriptions.count,
		known: sessions.known?.known ?? 0,
		log: log && { ...log.stats, head: log.head },
		sessions: asked.sessions && sessionPage(object, asked.sessions),
		listenerPage: asked.listeners && listenerPage(object, asked.listeners),
		events: asked.log && eventsOf(log, asked.log),
	};
}

/** A page of the sessions that live. Reads what was sent since the oldest of them was there last. */
export function summariesOf(object: Inspectable, after: string, limit: number): SessionSummary[] {
	const { found } = object.sessions.page(after, limit, object.isAlive);
	return placesOf(object, found).map(({ row, isHere, waiting }) => ({
		sessionId: row.sessionId,
		state: isHere ? 'open' : row.state === 'begun' ? 'begun' : 'away',
		client: clientOf(row),
		waiting,
		expiresAt: isHere ? undefined : row.expiresAt,
	}));
}

function sessionPage(
	object: Inspectable,
	{ after = '', limit }: AskedFor<'sessions'>,
): InspectedPage<InspectedSession> {
	const { found, last } = object.sessions.page(after, limit, object.isAlive, SCANNED_ROWS);
	const earliest = (object.log?.head ?? 0) - COUNTED_EVENTS;
	const places = placesOf(object, found, earliest);
	const items = places.map(({ row, isHere, position, waiting }): InspectedSession => ({
		sessionId: row.sessionId,
		state: isHere ? 'open' : stateOf(row),
		client: shownClientOf(row),
		begunAt: readSessionId(row.sessionId)?.madeAt,
		position,
		waiting,
		mayWaitForMore: !isHere && position < earliest,
		expiresAt: isHere ? undefined : row.expiresAt,
	}));
	return { items, next: last };
}

/** Whether sessions have a stream, and how many events after their position, and after `earliest`, wait for one. */
function placesOf({ log, streams }: Inspectable, rows: readonly SessionRow[], earliest = 0) {
	const places = rows.map((row) => {
		return { row, isHere: streams.has(row.sessionId), position: streams.positionOf(row) };
	});
	const counted = places
		.filter(({ isHere }) => !isHere)
		.map(({ row, position }) => [row.sessionId, Math.max(position, earliest)] as const);
	const waiting = log?.countMissed(new Map(counted));
	return places.map((place) => ({ ...place, waiting: waiting?.get(place.row.sessionId) ?? 0 }));
}

function listenerPage(
	{ subscriptions }: Inspectable,
	{ after = '', limit }: AskedFor<'listeners'>,
): InspectedPage<ListenerSummary> {
	const items = subscriptions.page(after, limit);
	return { items, next: items.length < limit ? undefined : items.at(-1)?.connectionId };
}

function eventsOf(
	log: EventLog | undefined,
	{ after = 0, before = Number.MAX_SAFE_INTEGER, limit, payloads = false }: AskedFor<'log'>,
): InspectedEvent[] {
	const events = log?.newest({ after, before, limit, chars: HEAD_CHARS }) ?? [];
	return events.map(({ seq, at, kind, bytes, head, sessions }) => ({
		seq,
		at,
		audience: kind,
		named: sessions ?? undefined,
		bytes,
		method: head === null ? undefined : methodOf(head),
		payload: payloads && head !== null ? head : undefined,
	}));
}

/** Of a session without an open stream. A row that says `open` is of a stream that was lost with the object. */
function stateOf({ state }: SessionRow): 'begun' | 'away' | 'detached' {
	return state === 'begun' || state === 'detached' ? state : 'away';
}

function shownClientOf(row: SessionRow): InspectedSession['client'] {
	const client = clientOf(row);
	if (!client) return undefined;
	const text = (key: string) => String(Reflect.get(client, key)).slice(0, MAX_NAME_CHARS);
	return { name: text('name'), version: text('version') };
}

/** Matches a message as tmcp and this library write it. A `method` inside `params` or `result` does not match. */
const METHOD =
	/^(?:event: message\n)?(?:data: )?\{"jsonrpc":"2\.0",(?:"id":[^,{[]{1,100},)?"method":"([^"\\]{1,100})"/;

/** The method of a message, from the beginning of its payload. */
function methodOf(head: string): string | undefined {
	return METHOD.exec(head)?.[1];
}
