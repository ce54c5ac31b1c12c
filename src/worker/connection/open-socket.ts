import { SessionManagerError } from '../../errors.ts';
import { CloseCode } from '../../wire/close-codes.ts';
import {
	formatKeyed,
	KEY_HEADER,
	LOG_HEADER,
	TICKET_HEADER,
	UPGRADE_URL,
} from '../../wire/upgrade.ts';
import type {
	AttachOptions,
	QuestionInput,
	SubscribeOptions,
	SubscriptionEnd,
	SubscriptionInput,
} from '../../wire/arguments.ts';
import type { Attached, LogPosition, Subscribed } from '../../wire/answers.ts';
import type { SyncLayer } from '../../object/sync-layer.ts';
import { parseJson } from '../content.ts';
import type { Home, SyncLayerStub } from '../routing/object.ts';

/** A socket that is not accepted yet, and where it starts in the object's log. */
export interface Opened {
	socket: WebSocket;
	log: LogPosition | undefined;
}

/** A subscription gets no socket: it has ended, or its origin has another one with the same id. */
export class SubscriptionRefused extends SessionManagerError {
	/** How it has ended, or `duplicate`. */
	readonly end: SubscriptionEnd | 'duplicate';

	constructor(end: SubscriptionEnd | 'duplicate') {
		super('STREAM_DETACHED', `the subscription gets no socket (${end}).`);
		this.end = end;
	}
}

/**
 * Open the WebSocket that a ticket of `SyncLayer.attach` stands for. Each text message on it is one payload of
 * `broadcast`, with its position in the log: {@link decodeFrame} reads it.
 *
 * The socket belongs to the request that opened it, and messages wait until it is accepted: add the listeners
 * first, then call `accept()`.
 *
 * ```ts
 * const object = env.TMCP_DURABLE_OBJECT.getByName(SYNC_LAYER_NAME);
 * const socket = await openSocket(object, await object.attach(sessionId));
 * socket.addEventListener('message', ({ data }) => console.log(decodeFrame(data)?.data));
 * socket.accept();
 * ```
 *
 * @param object a stub of the object that made the ticket
 * @param attached the ticket, as `attach` answered it: it is valid for 5 seconds and one socket
 * @throws `TICKET_REFUSED`, `STREAM_SUPERSEDED`, `STREAM_DETACHED`, `OBJECT_FULL`
 */
export async function openSocket(
	object: Pick<DurableObjectStub<SyncLayer>, 'fetch'>,
	attached: Pick<Attached, 'ticket'>,
): Promise<WebSocket> {
	return (await upgrade(object, { [TICKET_HEADER]: attached.ticket })).socket;
}

/**
 * Claim a session's stream and open its socket. Where the key of its home is known, that is one request. Otherwise it is
 * two, and the answer of the first one brings the key.
 */
export async function openStream(
	home: Home,
	stub: SyncLayerStub,
	sessionId: string,
	options: Omit<AttachOptions, 'ticket'>,
): Promise<Opened> {
	const { upgradeKey } = home;
	if (upgradeKey === undefined) {
		const { opened } = await claim(stub, async (ticket) => {
			const attached: Attached = await stub.attach(sessionId, {
				...options,
				ticket,
				withKey: true,
			});
			home.upgradeKey = attached.upgradeKey;
		});
		return opened;
	}
	try {
		const keyed = formatKeyed(upgradeKey, { sessionId, ...options });
		return await upgrade(stub, { [KEY_HEADER]: keyed });
	} catch (error) {
		// The object's storage was deleted, and with it the key.
		const isRefused = SessionManagerError.from(error)?.code === 'TICKET_REFUSED';
		if (isRefused && home.upgradeKey === upgradeKey) home.upgradeKey = undefined;
		throw error;
	}
}

/**
 * Register a subscription and open its socket.
 * @param options `connectionId`: the same for each socket that the subscription has, one after another; `lastEventId`:
 * the last event that it has; `resume`: where it comes back, the `began` of its first socket
 * @throws {@link SubscriptionRefused}
 */
export async function openSubscription(
	stub: SyncLayerStub,
	subscription: SubscriptionInput,
	options: Omit<SubscribeOptions, 'ticket'>,
): Promise<Opened & { began: number }> {
	const { claimed, opened } = await claim(stub, async (ticket) => {
		const subscribed: Subscribed = await stub.subscribe(subscription, { ...options, ticket });
		if (subscribed.kind === 'subscribed') return subscribed;
		throw new SubscriptionRefused(
			subscribed.kind === 'ended' ? subscribed.reason : subscribed.kind,
		);
	});
	return { ...opened, began: claimed.began };
}

/** Register what a server asks its client, and open the socket on which the answers come. */
export async function openAsker(
	stub: SyncLayerStub,
	sessionId: string,
	owner: string,
	questions: readonly QuestionInput[],
	connectionId: string,
): Promise<Opened> {
	const { opened } = await claim(stub, (ticket) =>
		stub.ask(sessionId, owner, questions, { connectionId, ticket }),
	);
	return opened;
}

/**
 * Make a call that makes a ticket. The upgrade that brings the ticket leaves right after it, before it is answered: one
 * round trip for both.
 */
async function claim<Claimed>(
	stub: SyncLayerStub,
	call: (ticket: string) => Promise<Claimed>,
): Promise<{ claimed: Claimed; opened: Opened }> {
	const ticket = crypto.randomUUID();
	const claiming = call(ticket);
	const opening = upgrade(stub, { [TICKET_HEADER]: ticket });
	// It may be refused before the claim is answered; whoever awaits it is told all the same.
	opening.catch(ignore);
	try {
		return { claimed: await claiming, opened: await opening };
	} catch (error) {
		// The claim has failed: close the socket in case that it opens all the same.
		opening.then((opened) => discard(opened, opened.log?.after), ignore);
		throw error;
	}
}

/** Close a socket from which nothing was taken. @param taken the position of the last event that the client took before */
export function discard({ socket }: Opened, taken: number | undefined, code?: number): void {
	socket.accept();
	letGo(socket, taken, code);
}

/**
 * Close a socket, by default because the client is gone, or reads too slowly.
 * @param taken the position of the last event that it took
 */
export function letGo(socket: WebSocket, taken = 0, code: number = CloseCode.clientGone): void {
	socket.close(code, String(taken));
}

async function upgrade(
	object: Pick<DurableObjectStub<SyncLayer>, 'fetch'>,
	headers: Record<string, string>,
): Promise<Opened> {
	const response = await object.fetch(UPGRADE_URL, {
		headers: { upgrade: 'websocket', ...headers },
	});
	if (response.webSocket) return { socket: response.webSocket, log: logOf(response.headers) };
	const body = await response.text();
	throw (
		codedRefusal(body) ??
		new SessionManagerError(
			'BINDING_WRONG_KIND',
			`the object answered the upgrade with status ${response.status} and ${JSON.stringify(body.slice(0, 200))}. Does the binding lead to SyncLayer, or to a subclass whose fetch() calls super.fetch()?`,
		)
	);
}

/** Checked without valibot, for speed: it is read once for each socket. */
function logOf(headers: Headers): LogPosition | undefined {
	const text = headers.get(LOG_HEADER);
	if (text === null) return undefined;
	const log: Partial<Record<string, unknown>> = JSON.parse(text);
	const { eventIdPrefix, after, recovered } = log;
	if (
		typeof eventIdPrefix === 'string' &&
		typeof after === 'number' &&
		typeof recovered === 'boolean'
	) {
		return { eventIdPrefix, after, recovered };
	}
	throw new SessionManagerError('OBJECT_FAILED', `the header ${LOG_HEADER} is not valid.`);
}

function codedRefusal(body: string): SessionManagerError | undefined {
	const refusal = Object(parseJson(body));
	const field = (name: string): unknown => Reflect.get(refusal, name);
	const reason = field('reason');
	if (reason === 'closed' || reason === 'cancelled') return new SubscriptionRefused(reason);
	return SessionManagerError.from(new Error(`${field('code')}: ${field('message')}`));
}

function ignore(): void {}
