import * as v from 'valibot';
import { SessionManagerError } from '../errors.ts';
import { upgradeRequest } from '../protocol.ts';
import type { Attached, SyncLayer } from '../sync-layer/sync-layer.ts';
import type { SyncLayerStub } from './object.ts';

const RefusalSchema = v.object({ code: v.string(), message: v.string() });

/**
 * Open the WebSocket that a ticket of `SyncLayer.attach` stands for. Each text message on it is one payload of
 * `broadcast`.
 *
 * The socket belongs to the request that opened it, and messages wait until it is accepted: add the listeners
 * first, then call `accept()`.
 *
 * ```ts
 * const object = env.TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
 * const socket = await openSocket(object, await object.attach(sessionId));
 * socket.addEventListener('message', ({ data }) => console.log(data));
 * socket.accept();
 * ```
 *
 * @param object a stub of the object that made the ticket
 * @param attached session id and ticket, as `attach` answered them; the ticket is good for 5 seconds and one socket
 * @throws `TICKET_REFUSED`, `STREAM_SUPERSEDED`, `STREAM_DETACHED`, `OBJECT_FULL`, `INVALID_SESSION_ID`
 */
export async function openSocket(
	object: Pick<DurableObjectStub<SyncLayer>, 'fetch'>,
	attached: Pick<Attached, 'sessionId' | 'ticket'>,
): Promise<WebSocket> {
	const response = await object.fetch(upgradeRequest(attached.sessionId, attached.ticket));
	if (response.webSocket) return response.webSocket;
	const body = await response.text();
	throw (
		codedRefusal(body) ??
		new SessionManagerError(
			'OBJECT_FAILED',
			`the object answered the upgrade with status ${response.status} and ${JSON.stringify(body.slice(0, 200))}. Does the binding lead to SyncLayer, or to a subclass whose fetch() calls super.fetch()?`,
		)
	);
}

/** Claim a session's stream and open its socket in one network round trip: both calls leave together. */
export async function openStream(stub: SyncLayerStub, sessionId: string): Promise<WebSocket> {
	const ticket = crypto.randomUUID();
	const opening = openSocket(stub, { sessionId, ticket });
	try {
		await stub.attach(sessionId, { ticket });
		return await opening;
	} catch (error) {
		// Without its claim the socket is nobody's; it may still open, and must not stay.
		opening.then(discard, () => {});
		throw error;
	}
}

function discard(socket: WebSocket): void {
	socket.accept();
	socket.close();
}

function codedRefusal(body: string): SessionManagerError | undefined {
	try {
		const { code, message } = v.parse(RefusalSchema, JSON.parse(body));
		return SessionManagerError.from(new Error(`${code}: ${message}`));
	} catch {
		return undefined;
	}
}
