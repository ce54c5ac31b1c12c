import { isAnswer } from '../answers/messages.ts';
import { concatenate, parseJson } from '../content.ts';
import { kindOfMessage, type MessageKind } from './request-kind.ts';

/** What stands in the body of a POST, which was read once. */
export interface MessageBody {
	kind: MessageKind | 'answer';
	/** `undefined` where it is no JSON. */
	message: unknown;
	/** The request with what was read, for the transport. */
	request: Request;
}

/** Whether the transport reads the body of a request at all. */
export function hasMessage({ method, headers }: Request): boolean {
	return method === 'POST' && headers.get('content-type')?.includes('application/json') === true;
}

/**
 * Read a message to its end, once.
 * @returns why it was not read, and then nothing more is read of it: it has more bytes, or takes longer
 */
export async function readMessage(
	request: Request,
	limits: { maxBodyBytes: number; bodyTimeout: number },
): Promise<MessageBody | 'tooLarge' | 'tooSlow'> {
	const bytes = await readBytes(request, limits);
	if (typeof bytes === 'string') return bytes;
	// As the transport will decode it.
	const message = parseJson(await new Response(bytes).text());
	const kind = isAnswer(message) ? 'answer' : kindOfMessage(message);
	return { kind, message, request: new Request(request, { method: 'POST', body: bytes }) };
}

/** A POST of another message by the same client. */
export function withMessage({ url, headers }: Request, message: object): Request {
	const request = new Request(url, { method: 'POST', headers, body: JSON.stringify(message) });
	request.headers.set('content-type', 'application/json');
	for (const name of ['content-length', 'content-encoding']) request.headers.delete(name);
	return request;
}

async function readBytes(
	{ body }: Request,
	{ maxBodyBytes, bodyTimeout }: { maxBodyBytes: number; bodyTimeout: number },
): Promise<Uint8Array | 'tooLarge' | 'tooSlow'> {
	const chunks: Uint8Array[] = [];
	if (!body) return concatenate(chunks);
	const reader = body.getReader();
	const late = Promise.withResolvers<'late'>();
	const timer = setTimeout(() => late.resolve('late'), bodyTimeout);
	let length = 0;
	try {
		for (;;) {
			const read = await Promise.race([reader.read(), late.promise]);
			if (read === 'late') return 'tooSlow';
			if (read.done) return concatenate(chunks);
			length += read.value.byteLength;
			if (length > maxBodyBytes) return 'tooLarge';
			chunks.push(read.value);
		}
	} finally {
		clearTimeout(timer);
		// What was not read is not wanted; nor is how that went.
		reader.cancel().catch(() => {});
	}
}
