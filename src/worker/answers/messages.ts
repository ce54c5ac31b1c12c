import { createParser, type EventSourceMessage } from 'eventsource-parser';
import * as v from 'valibot';
import { parseJson } from '../content.ts';

/** A JSON-RPC request that a server sends to its client. */
type ServerRequest = v.InferOutput<typeof ServerRequestSchema>;
/** What a client answers, as tmcp takes it: anything else it would drop, and the one who asked would wait for ever. */
export type ClientAnswer = v.InferOutput<typeof ClientAnswerSchema>;

const IdSchema = v.union([v.string(), v.pipe(v.number(), v.integer())]);

const ServerRequestSchema = v.looseObject({ id: IdSchema, method: v.string() });

const ClientAnswerSchema = v.union([
	v.strictObject({
		jsonrpc: v.literal('2.0'),
		id: IdSchema,
		result: v.looseObject({ _meta: v.optional(v.looseObject({})) }),
	}),
	v.strictObject({
		jsonrpc: v.literal('2.0'),
		id: IdSchema,
		error: v.object({
			code: v.pipe(v.number(), v.integer()),
			message: v.string(),
			data: v.optional(v.unknown()),
		}),
	}),
]);

/** An event with a server's request in it. */
export interface RequestEvent extends Pick<EventSourceMessage, 'event' | 'id'> {
	request: ServerRequest;
}

/** The servers' requests in the text of an event stream, which is cut between events. */
export function readRequestEvents(text: string): RequestEvent[] {
	// A result may be large, and need not be parsed.
	if (!text.includes('"method"') || !text.includes('"id"')) return [];
	return readEvents(text).flatMap(({ event, id, data }) => {
		const request = parseJson(data);
		return v.is(ServerRequestSchema, request) ? [{ event, id, request }] : [];
	});
}

/** Whether the text of a response, JSON or an event stream, answers a request with a result. */
export function hasResult(text: string): boolean {
	const messages = text.startsWith('{') ? [text] : readEvents(text).map(({ data }) => data);
	return messages.some((message) => Object.hasOwn(Object(parseJson(message)), 'result'));
}

function readEvents(text: string): EventSourceMessage[] {
	const events: EventSourceMessage[] = [];
	const parser = createParser({ onEvent: (event) => void events.push(event) });
	// It would wait for a line feed after a carriage return.
	parser.feed(text.replaceAll(/\r\n?/g, '\n'));
	return events;
}

/**
 * Whether a message claims to be an answer. tmcp would give it to whoever waits for that id, in whichever session, so none
 * of them reaches the transport as it is.
 */
export function isAnswer(message: unknown): boolean {
	return Object.hasOwn(Object(message), 'result') || Object.hasOwn(Object(message), 'error');
}

/** The answer that is taken, if it is one. */
export function readAnswer(message: unknown): ClientAnswer | undefined {
	const result = v.safeParse(ClientAnswerSchema, message, { abortEarly: true });
	return result.success ? result.output : undefined;
}

/** A message to which the transport responds as it would to this answer, with an id for which nobody waits. */
export function standInFor(answer: unknown): object {
	const { jsonrpc, id, result, error }: Record<string, unknown> = Object(answer);
	const isId = typeof id === 'string' || typeof id === 'number';
	return {
		jsonrpc,
		id: isId ? crypto.randomUUID() : id,
		result: result === undefined ? undefined : {},
		error: error === undefined ? undefined : { code: 0, message: '' },
	};
}
