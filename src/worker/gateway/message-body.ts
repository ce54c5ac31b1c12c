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
 * @returns `undefined` where it has more bytes than that, and then nothing more is read of it
 */
export async function readMessage(
	request: Request,
	maxBytes: number,
): Promise<MessageBody | undefined> {
	const bytes = await readBytes(request, maxBytes);
	if (bytes === undefined) return undefined;
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

async function readBytes({ body }: Request, maxBytes: number): Promise<Uint8Array | undefined> {
	const chunks: Uint8Array[] = [];
	let length = 0;
	const reader = body?.getReader();
	for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
		length += read.value.byteLength;
		if (length > maxBytes) {
			await reader?.cancel();
			return undefined;
		}
		chunks.push(read.value);
	}
	return concatenate(chunks);
}
