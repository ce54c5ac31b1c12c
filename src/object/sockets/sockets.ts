import { SessionManagerError } from '../../errors.ts';
import { CloseCode } from '../../wire/close-codes.ts';
import { type Attachment, type AttachmentOf, readAttachment } from './attachment.ts';

/** An open socket and what it remembers. */
export interface OpenSocket<Kind extends Attachment['kind']> {
	socket: WebSocket;
	attachment: AttachmentOf<Kind>;
}

/** The open sockets of a kind with a tag. One whose attachment we did not write is closed, never trusted. */
export function openSockets<Kind extends Attachment['kind']>(
	ctx: DurableObjectState,
	kind: Kind,
	tag: string,
): OpenSocket<Kind>[] {
	return ctx.getWebSockets(tag).flatMap((socket) => {
		if (!isOpen(socket)) return [];
		const attachment = readAttachment(socket);
		if (attachment && isOfKind(attachment, kind)) return [{ socket, attachment }];
		socket.close(CloseCode.foreignAttachment, 'not a socket of this library');
		return [];
	});
}

export function isOpen(socket: WebSocket): boolean {
	return socket.readyState === WebSocket.OPEN;
}

function isOfKind<Kind extends Attachment['kind']>(
	attachment: Attachment,
	kind: Kind,
): attachment is AttachmentOf<Kind> {
	return attachment.kind === kind;
}

/**
 * @returns whether the socket took it. One that died since we looked does not, and costs the others nothing; it gets nothing
 * more, because what comes after would hide that something is missing.
 */
export function deliver(socket: WebSocket, data: string): boolean {
	try {
		socket.send(data);
		return true;
	} catch {
		closeQuietly(socket);
		return false;
	}
}

function closeQuietly(socket: WebSocket): void {
	try {
		socket.close(1011, 'a message could not be sent');
	} catch {
		// It is closed already.
	}
}

/**
 * Hibernate with a socket.
 * @throws `OBJECT_FULL`
 */
export function acceptSocket(
	ctx: DurableObjectState,
	socket: WebSocket,
	tags: readonly string[],
): void {
	try {
		ctx.acceptWebSocket(socket, [...tags]);
	} catch (error) {
		throw new SessionManagerError(
			'OBJECT_FULL',
			`the object takes no further socket (${String(error)}). It holds at most 32,768.`,
			{ cause: error },
		);
	}
}
