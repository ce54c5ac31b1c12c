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

/** An event of an event stream. */
export interface ServerSentEvent {
	event: string | undefined;
	id: string | undefined;
	data: string;
}

/**
 * The events of a text that is cut between events, as
 * {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation the standard} reads
 * them. A line or an event without its end counts for nothing.
 */
export function readEvents(text: string): ServerSentEvent[] {
	const events: ServerSentEvent[] = [];
	let event: string | undefined;
	let id: string | undefined;
	let data: string[] = [];
	for (const line of text.split(/\r\n?|\n/).slice(0, -1)) {
		if (line === '') {
			if (data.length > 0) events.push({ event, id, data: data.join('\n') });
			[event, id, data] = [undefined, undefined, []];
			continue;
		}
		const colon = line.includes(':') ? line.indexOf(':') : line.length;
		const field = line.slice(0, colon);
		const value = line.slice(colon + 1).replace(/^ /, '');
		if (field === 'data') data.push(value);
		else if (field === 'event') event = value || undefined;
		else if (field === 'id' && !value.includes('\0')) id = value;
	}
	return events;
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
