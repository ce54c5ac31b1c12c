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
import type { EventLog, NewestEvent } from './log/event-log.ts';
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

/** What an operator's page is told of an object. Changes nothing; a row that waits to be written is written first. */
export class Inspection {
	#ctx: DurableObjectState;
	#log: EventLog | undefined;
	#sessions: Sessions;
	#streams: Streams;
	#subscriptions: Subscriptions;

	constructor(
		ctx: DurableObjectState,
		log: EventLog | undefined,
		sessions: Sessions,
		streams: Streams,
		subscriptions: Subscriptions,
	) {
		this.#ctx = ctx;
		this.#log = log;
		this.#sessions = sessions;
		this.#streams = streams;
		this.#subscriptions = subscriptions;
	}

	/** @param isAlive whether a session has neither ended nor expired */
	of(
		{ sessions, listeners, log }: ReturnType<typeof parseInspectOptions>,
		isAlive: (row: SessionRow) => boolean,
	): Inspected {
		const gaps = this.#streams.gaps + this.#subscriptions.gaps;
		return {
			streams: this.#ctx.getWebSockets(STREAM_TAG).filter(isOpen).length,
			listeners: this.#subscriptions.count,
			known: this.#sessions.known?.known ?? 0,
			log: this.#log && { ...this.#log.stats, head: this.#log.head, gaps },
			sessions: sessions && this.#sessionPage(sessions, isAlive),
			listenerPage: listeners && this.#listenerPage(listeners),
			events: log && this.#events(log),
		};
	}

	#sessionPage(
		{ after = '', limit }: { after?: string | undefined; limit: number },
		isAlive: (row: SessionRow) => boolean,
	): InspectedPage<InspectedSession> {
		const { found, last } = this.#sessions.page(after, limit, isAlive, SCANNED_ROWS);
		const positions = new Map(
			found.map((row) => [row.sessionId, this.#streams.positionOf(row)] as const),
		);
		const earliest = (this.#log?.head ?? 0) - COUNTED_EVENTS;
		const counted = new Map<string, number>();
		for (const [session, position] of positions) {
			if (!this.#streams.has(session)) counted.set(session, Math.max(position, earliest));
		}
		const waiting = this.#log?.countMissed(counted);
		const items = found.map((row): InspectedSession => {
			const { sessionId, expiresAt, info } = row;
			const isHere = this.#streams.has(sessionId);
			const position = positions.get(sessionId) ?? row.since;
			return {
				sessionId,
				state: isHere ? 'open' : stateOf(row),
				client: clientOf(info),
				begunAt: readSessionId(sessionId)?.madeAt,
				position,
				waiting: waiting?.get(sessionId) ?? 0,
				mayWaitForMore: !isHere && position < earliest,
				expiresAt: isHere ? undefined : expiresAt,
			};
		});
		return { items, next: last };
	}

	#listenerPage({
		after = '',
		limit,
	}: {
		after?: string | undefined;
		limit: number;
	}): InspectedPage<ListenerSummary> {
		const items = this.#subscriptions.page(after, limit);
		return { items, next: items.length < limit ? undefined : items.at(-1)?.connectionId };
	}

	#events({
		after = 0,
		before = Number.MAX_SAFE_INTEGER,
		limit,
		payloads = false,
	}: {
		after?: number | undefined;
		before?: number | undefined;
		limit: number;
		payloads?: boolean | undefined;
	}): InspectedEvent[] {
		const events = this.#log?.newest({ after, before, limit, chars: HEAD_CHARS }) ?? [];
		return events.map(({ seq, at, kind, bytes, head, sessions }: NewestEvent) => ({
			seq,
			at,
			audience: kind,
			named: sessions ?? undefined,
			bytes,
			method: head === null ? undefined : methodOf(head),
			payload: payloads && head !== null ? head : undefined,
		}));
	}
}

/** Of a session without an open stream. A row that says `open` is of a stream that was lost with the object. */
function stateOf({ state }: SessionRow): 'begun' | 'away' | 'detached' {
	return state === 'begun' || state === 'detached' ? state : 'away';
}

function clientOf(info: string | undefined): InspectedSession['client'] {
	const client: unknown = Reflect.get(Object(info && JSON.parse(info)), 'clientInfo');
	if (typeof client !== 'object' || client === null) return undefined;
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
