import * as v from 'valibot';

/**
 * What a socket remembers across hibernation. It is namespaced, so that a subclass of SyncLayer can keep
 * sockets of its own, and validated, because what comes out of storage may be another version's.
 */
const AttachmentSchema = v.looseObject({
	tmcp: v.object({
		kind: v.literal('stream'),
		sessionId: v.string(),
		connectionId: v.string(),
	}),
});

export type Attachment = v.InferOutput<typeof AttachmentSchema>['tmcp'];

export function writeAttachment(socket: WebSocket, attachment: Attachment): void {
	socket.serializeAttachment({ tmcp: attachment });
}

/** The socket's attachment, or `undefined` where it is missing, foreign or damaged. */
export function readAttachment(socket: WebSocket): Attachment | undefined {
	const result = v.safeParse(AttachmentSchema, socket.deserializeAttachment());
	return result.success ? result.output.tmcp : undefined;
}
