/** What stands in the bodies of requests and responses. */

/** The body of an event stream; `undefined` for any other response. */
export function eventStreamOf({ body, headers }: Response): ReadableStream<Uint8Array> | undefined {
	const isEvents = headers.get('content-type')?.startsWith('text/event-stream');
	return body && isEvents ? body : undefined;
}

/** One message as a server-sent event. */
export function writeEvent(
	message: object,
	{ event = 'message', id }: { event?: string | undefined; id?: string | undefined } = {},
): string {
	const idLine = id === undefined ? '' : `id: ${id}\n`;
	return `${idLine}event: ${event}\ndata: ${JSON.stringify(message)}\n\n`;
}

export function concatenate(chunks: readonly Uint8Array[]): Uint8Array {
	const whole = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
	let at = 0;
	for (const chunk of chunks) {
		whole.set(chunk, at);
		at += chunk.byteLength;
	}
	return whole;
}

/** @returns `undefined` for what is not JSON, which no schema takes */
export function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
