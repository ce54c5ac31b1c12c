import { EventStream } from '../../support/event-stream.ts';
import { SessionClient } from '../gateway/client.ts';

/** A request of the server, as it stands on a response. */
export interface Asked {
	id: string | number;
	method: string;
	params: { topic: string };
}

/** A session of the servers in `asking.ts`, with several tools called at a time. */
export class AskingClient {
	readonly session: SessionClient;
	#nextId = 1;

	constructor(session: SessionClient) {
		this.session = session;
	}

	static async begin(headers: Record<string, string> = {}): Promise<AskingClient> {
		return new AskingClient(await SessionClient.begin('/asking', headers));
	}

	/** Call a tool. @param instance which of the instances it reaches */
	async call(name: string, args: object = {}, instance = 'first'): Promise<EventStream> {
		const params = { name, arguments: args };
		const message = { jsonrpc: '2.0', id: `call-${this.#nextId++}`, method: 'tools/call', params };
		const response = await this.session.fetch('POST', {
			headers: { 'x-instance': instance },
			body: JSON.stringify(message),
		});
		if (response.status !== 200) throw new Error(`${name} was answered ${response.status}`);
		return new EventStream(response.body);
	}

	/** Post a message as it is. */
	post(message: object, instance = 'first'): Promise<Response> {
		return this.session.fetch('POST', {
			headers: { 'x-instance': instance },
			body: JSON.stringify(message),
		});
	}

	answer(id: string | number, result: object, instance = 'first'): Promise<Response> {
		return this.post({ jsonrpc: '2.0', id, result }, instance);
	}
}

/** The nth message on a response, which has to be a request. */
export async function askedOn(stream: EventStream, nth = 1): Promise<Asked> {
	const message = (await stream.messages(nth))[nth - 1];
	if (!isAsked(message)) throw new Error(`${JSON.stringify(message)} is no request.`);
	return message;
}

/** What a tool said in the end. */
export async function resultOf(stream: EventStream): Promise<string> {
	await stream.ended;
	const last: unknown = JSON.parse(stream.events.at(-1) ?? 'null');
	const content: unknown = Reflect.get(Object(Reflect.get(Object(last), 'result')), 'content');
	const text: unknown = Array.isArray(content)
		? Reflect.get(Object(content[0]), 'text')
		: undefined;
	return typeof text === 'string' ? text : JSON.stringify(last);
}

function isAsked(message: unknown): message is Asked {
	return typeof message === 'object' && message !== null && 'method' in message && 'id' in message;
}
