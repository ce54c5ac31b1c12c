import * as v from 'valibot';
import { SessionManagerError } from '../../errors.ts';
import {
	CloseCode,
	LOG_HEADER,
	NOTHING_TAKEN,
	TICKET_HEADER,
	UPGRADE_URL,
} from '../../wire/protocol.ts';
import type { AttachOptions, SubscribeOptions, SubscriptionInput } from '../../wire/arguments.ts';
import type { SyncLayer } from '../../object/sync-layer.ts';
import type { Attached, LogPosition, Subscribed } from '../../wire/answers.ts';
import type { SyncLayerStub } from '../routing/object.ts';

const RefusalSchema = v.object({ code: v.string(), message: v.string() });
const LogPositionSchema = v.object({
	eventIdPrefix: v.string(),
	after: v.number(),
	recovered: v.boolean(),
});

/**
 * Open the WebSocket that a ticket of `SyncLayer.attach` stands for. Each text message on it is one payload of
 * `broadcast`, with its place in the log: {@link decodeFrame} reads it.
 *
 * The socket belongs to the request that opened it, and messages wait until it is accepted: add the listeners
 * first, then call `accept()`.
 *
 * ```ts
 * const object = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
 * const socket = await openSocket(object, await object.attach(sessionId));
 * socket.addEventListener('message', ({ data }) => console.log(decodeFrame(data)?.data));
 * socket.accept();
 * ```
 *
 * @param object a stub of the object that made the ticket
 * @param attached the ticket, as `attach` answered it: it is valid for 5 seconds and one socket
 * @throws `TICKET_REFUSED`, `STREAM_SUPERSEDED`, `STREAM_DETACHED`, `OBJECT_FULL`, `INVALID_SESSION_ID`
 */
export async function openSocket(
	object: Pick<DurableObjectStub<SyncLayer>, 'fetch'>,
	attached: Pick<Attached, 'ticket'>,
): Promise<WebSocket> {
	const { socket } = await upgrade(object, attached.ticket);
	return socket;
}

async function upgrade(
	object: Pick<DurableObjectStub<SyncLayer>, 'fetch'>,
	ticket: string,
): Promise<Opened> {
	const response = await object.fetch(
		new Request(UPGRADE_URL, { headers: { upgrade: 'websocket', [TICKET_HEADER]: ticket } }),
	);
	if (response.webSocket) return { socket: response.webSocket, log: logOf(response.headers) };
	const body = await response.text();
	throw (
		codedRefusal(body) ??
		new SessionManagerError(
			'OBJECT_FAILED',
			`the object answered the upgrade with status ${response.status} and ${JSON.stringify(body.slice(0, 200))}. Does the binding lead to SyncLayer, or to a subclass whose fetch() calls super.fetch()?`,
		)
	);
}

/** A socket that is not accepted yet, and where it starts in the object's log. */
export interface Opened {
	socket: WebSocket;
	log: LogPosition | undefined;
}

/** Claim a session's stream and open its socket. */
export async function openStream(
	stub: SyncLayerStub,
	sessionId: string,
	options: Omit<AttachOptions, 'ticket'>,
): Promise<Opened> {
	const { opened } = await together(stub, async (ticket): Promise<Attached> =>
		stub.attach(sessionId, { ...options, ticket }),
	);
	return opened;
}

/** What came of opening a subscription. */
export type OpenedSubscription =
	| ({ kind: 'open'; began: number } & Opened)
	| Exclude<Subscribed, { kind: 'subscribed' }>;

/**
 * Register a subscription and open its socket.
 * @param options `connectionId`: the same for each socket that the subscription has, one after another; `lastEventId`:
 * the last event that it has
 */
export async function openSubscription(
	stub: SyncLayerStub,
	subscription: SubscriptionInput,
	options: Omit<SubscribeOptions, 'ticket'>,
): Promise<OpenedSubscription> {
	const subscribe = async (more: SubscribeOptions): Promise<Subscribed> =>
		stub.subscribe(subscription, { ...options, ...more });
	const { claimed, opened } = await together(stub, (ticket) => subscribe({ ticket }));
	if (claimed.kind !== 'subscribed') {
		forsake(opened);
		return claimed;
	}
	try {
		return { kind: 'open', began: claimed.began, ...(await opened) };
	} catch (error) {
		if (SessionManagerError.from(error)?.code !== 'STREAM_DETACHED') throw error;
		// It was ended while it opened. Asked again, the object says why.
		const again = await subscribe({});
		if (again.kind === 'subscribed') throw error;
		return again;
	}
}

/**
 * One network round trip for two calls: the upgrade leaves together with the call that makes its ticket, and waits for
 * it in the object.
 */
async function together<Claimed>(
	stub: SyncLayerStub,
	claim: (ticket: string) => Promise<Claimed>,
): Promise<{ claimed: Claimed; opened: Promise<Opened> }> {
	const ticket = crypto.randomUUID();
	const opened = upgrade(stub, ticket);
	// It may be refused before the claim is answered; whoever awaits it is told all the same.
	opened.catch(() => {});
	try {
		return { claimed: await claim(ticket), opened };
	} catch (error) {
		forsake(opened);
		throw error;
	}
}

/** Without its claim a socket is nobody's; it may still open, and must not stay. */
function forsake(opening: Promise<Opened>): void {
	opening.then(
		(opened) => discard(opened, String(opened.log?.after ?? NOTHING_TAKEN)),
		() => {},
	);
}

/** Close a socket from which nothing was taken. @param taken the place of the last event that was taken before */
export function discard({ socket }: Opened, taken: string): void {
	socket.accept();
	socket.close(CloseCode.clientGone, taken);
}

function logOf(headers: Headers): LogPosition | undefined {
	const text = headers.get(LOG_HEADER);
	return text === null ? undefined : v.parse(LogPositionSchema, JSON.parse(text));
}

function codedRefusal(body: string): SessionManagerError | undefined {
	try {
		const { code, message } = v.parse(RefusalSchema, JSON.parse(body));
		return SessionManagerError.from(new Error(`${code}: ${message}`));
	} catch {
		return undefined;
	}
}
