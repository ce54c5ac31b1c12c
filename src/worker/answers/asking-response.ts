import { JsonRpcError } from '../../wire/json-rpc.ts';
import { eventStreamOf, writeEvent } from '../content.ts';
import { hold } from '../request/hold.ts';
import { Asker, type AskerSetup } from './asker.ts';
import { EventBlocks } from './event-blocks.ts';
import { type ClientAnswer, readRequestEvents } from './messages.ts';

type Controller = ReadableStreamDefaultController<Uint8Array>;

/** What the response of a POST needs so that its server can ask. */
export interface AskingSetup extends Pick<AskerSetup, 'home' | 'session' | 'owner' | 'timeout'> {
	/** The id of the POST's own request. */
	requestId: unknown;
	/** Give an answer to the transport, in the session of the POST. */
	respond(answer: ClientAnswer): Promise<Response | null>;
	/** Told once all of the response has left, or nobody wants the rest. */
	onEnd(): void;
}

/**
 * The response of a session's POST, on which each request of the server to the client has a wire id in the place of its
 * own, and leaves once it is registered in the object. Everything else passes as it is, at once and in order.
 */
export function askingResponse(response: Response, setup: AskingSetup): Response {
	const body = eventStreamOf(response);
	if (!body) {
		setup.onEnd();
		return response;
	}
	const stream = new AskingStream(body.getReader(), setup);
	return new Response(new ReadableStream(stream, { highWaterMark: 0 }), response);
}

class AskingStream implements UnderlyingSource<Uint8Array> {
	#reader: ReadableStreamDefaultReader<Uint8Array>;
	#setup: AskingSetup;
	#asker: Asker;
	#blocks = new EventBlocks();
	#encoder = new TextEncoder();
	#decoder = new TextDecoder();
	#controller: Controller | undefined;

	constructor(reader: ReadableStreamDefaultReader<Uint8Array>, setup: AskingSetup) {
		this.#reader = reader;
		this.#setup = setup;
		this.#asker = new Asker({
			...setup,
			hand: (answer) => void hold(this.#hand(answer)),
			notify: (notification) => this.#write({ jsonrpc: '2.0', ...notification }),
		});
	}

	start(controller: Controller): void {
		this.#controller = controller;
	}

	async pull(): Promise<void> {
		for (let hasWritten = false; !hasWritten && this.#controller;) {
			const { done, value } = await this.#read();
			if (done) return;
			for (const block of this.#blocks.cut(value)) {
				const passed = await this.#pass(block);
				if (passed) this.#controller?.enqueue(passed);
				hasWritten ||= passed !== undefined;
			}
		}
	}

	/** The client is gone. */
	cancel(reason: unknown): Promise<void> {
		this.#end();
		this.#asker.giveUp('The client closed its connection before it answered.');
		return this.#reader.cancel(reason);
	}

	async #read(): Promise<ReadableStreamReadResult<Uint8Array>> {
		try {
			const read = await this.#reader.read();
			if (!read.done) return read;
			const rest = this.#blocks.takeRest();
			if (rest.length > 0) this.#controller?.enqueue(rest);
			this.#asker.cancel('The server has answered without it.');
			this.#controller?.close();
		} catch (error) {
			this.#asker.giveUp('The response on which it was asked has failed.');
			this.#controller?.error(error);
		}
		this.#end();
		return { done: true, value: undefined };
	}

	#end(): void {
		this.#controller = undefined;
		this.#setup.onEnd();
	}

	/** @returns the block as it leaves; `undefined` where it does not */
	async #pass(block: Uint8Array): Promise<Uint8Array | undefined> {
		const [asked] = readRequestEvents(this.#decoder.decode(block));
		if (!asked) return block;
		const id = await this.#asker.ask(asked.request.id);
		if (id === undefined) return undefined;
		return this.#encoder.encode(writeEvent({ ...asked.request, id }, asked));
	}

	#write(message: object): void {
		this.#controller?.enqueue(this.#encoder.encode(writeEvent(message)));
	}

	/** Where the server cannot be given the answer, it waits in vain, so the client is told that nothing comes of it. */
	async #hand(answer: ClientAnswer): Promise<void> {
		let refusal: string;
		try {
			const response = await this.#setup.respond(answer);
			await response?.body?.cancel();
			if (response?.ok) return;
			refusal = `with status ${response?.status}`;
		} catch (error) {
			refusal = String(error);
		}
		const controller = this.#controller;
		if (!controller) return;
		const message = `The server did not take the answer of its client (${refusal}).`;
		this.#write({
			jsonrpc: '2.0',
			id: this.#setup.requestId,
			error: { code: JsonRpcError.internal, message },
		});
		this.#end();
		this.#asker.giveUp(message);
		controller.close();
		await this.#reader.cancel(message);
	}
}
