import * as v from 'valibot';
import { SubscriptionSchema } from '../../wire/arguments.ts';

/**
 * What a socket remembers across hibernation. It is namespaced, so that a subclass of SyncLayer can keep
 * sockets of its own, and validated, because what comes out of storage may be another version's.
 */
const AttachmentSchema = v.looseObject({
	tmcp: v.variant('kind', [
		v.object({ kind: v.literal('stream'), sessionId: v.string(), connectionId: v.string() }),
		v.object({
			kind: v.literal('subscription'),
			connectionId: v.string(),
			subscription: SubscriptionSchema,
			/** Where its resources are in the `FilterStore`, because they are too many for an attachment. */
			filterId: v.optional(v.string()),
		}),
		v.object({ kind: v.literal('asker'), sessionId: v.string(), connectionId: v.string() }),
	]),
});

export type Attachment = v.InferOutput<typeof AttachmentSchema>['tmcp'];

export type AttachmentOf<Kind extends Attachment['kind']> = Extract<Attachment, { kind: Kind }>;

/** @throws where it is over 16,384 bytes: https://developers.cloudflare.com/durable-objects/api/websockets/ */
export function writeAttachment(socket: WebSocket, attachment: Attachment): void {
	socket.serializeAttachment({ tmcp: attachment });
}

/** The socket's attachment, or `undefined` where it is missing, foreign or damaged. */
export function readAttachment(socket: WebSocket): Attachment | undefined {
	const result = v.safeParse(AttachmentSchema, socket.deserializeAttachment(), {
		abortEarly: true,
	});
	return result.success ? result.output.tmcp : undefined;
}
