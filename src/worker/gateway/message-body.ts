import { isAnswer } from '../answers/messages.ts';
import { parseJson } from '../content.ts';
import { kindOfMessage, type MessageKind } from './request-kind.ts';
import { type ClientFlaw, flawOfClient } from './told-client.ts';

/** What stands in the body of a POST, which was read once. */
export interface MessageBody {
	kind: MessageKind | 'answer';
	/** `undefined` where it is no JSON. */
	message: unknown;
	/** The request with what was read, for the transport. */
	request: Request;
}

/** Why a message is not for the transport: of its body, or of what it tells of its client. */
export type BodyFlaw = 'tooLarge' | 'tooSlow' | ClientFlaw;

/** Whether the transport reads the body of a request at all. */
export function hasMessage({ method, headers }: Request): boolean {
	return method === 'POST' && headers.get('content-type')?.includes('application/json') === true;
}

/**
 * Read a message to its end, once.
 * @returns why the transport must not have it. Where it has more bytes or takes longer, nothing more is read of it
 */
export async function readMessage(
	request: Request,
	limits: { maxBodyBytes: number; bodyTimeout: number },
): Promise<MessageBody | BodyFlaw> {
	const bytes = await readBytes(request, limits);
	if (typeof bytes === 'string') return bytes;
	// As the transport will decode it.
	const message = parseJson(await new Response(bytes).text());
	const kind = isAnswer(message) ? 'answer' : kindOfMessage(message);
	const flaw = kind === 'answer' ? undefined : flawOfClient(kind, message);
	if (flaw) return flaw;
	return { kind, message, request: new Request(request, { method: 'POST', body: bytes }) };
}

/** A POST of another message by the same client. */
export function withMessage({ url, headers }: Request, message: object): Request {
	const request = new Request(url, { method: 'POST', headers, body: JSON.stringify(message) });
	request.headers.set('content-type', 'application/json');
	for (const name of ['content-length', 'content-encoding']) request.headers.delete(name);
	return request;
}

/** The room for a body to begin with, in bytes: enough for most. */
const FIRST_ROOM = 4_096;

/** Into one buffer: a body that comes byte by byte would take hundreds of times its size as a list of chunks. */
export async function readBytes(
	{ body }: Request,
	{ maxBodyBytes, bodyTimeout }: { maxBodyBytes: number; bodyTimeout: number },
): Promise<Uint8Array | 'tooLarge' | 'tooSlow'> {
	let bytes = new Uint8Array(FIRST_ROOM);
	let length = 0;
	if (!body) return bytes.subarray(0, 0);
	const reader = body.getReader();
	let isLate = false;
	const timer = setTimeout(() => {
		isLate = true;
		reader.cancel().catch(() => {});
	}, bodyTimeout);
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (isLate) return 'tooSlow';
			if (done) return bytes.subarray(0, length);
			if (length + value.byteLength > maxBodyBytes) {
				// What was not read is not wanted; nor is how that went.
				reader.cancel().catch(() => {});
				return 'tooLarge';
			}
			if (length + value.byteLength > bytes.byteLength) {
				const room = Math.max(2 * bytes.byteLength, length + value.byteLength);
				bytes = new Uint8Array(bytes.buffer.transfer(room));
			}
			bytes.set(value, length);
			length += value.byteLength;
		}
	} finally {
		clearTimeout(timer);
	}
}
