import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { SyncLayerNamespace } from '../../../src/advanced.ts';
import { SessionGateway, type SessionGatewayOptions } from '../../../src/index.ts';
import { EventStream } from '../../support/event-stream.ts';
import { onlyObject } from '../../support/objects.ts';
import { INITIALIZE } from '../gateway/client.ts';

const URL = 'https://example.com/mcp';
const ASK = { jsonrpc: '2.0', id: 7, method: 'test/ask', params: {} };
const encoder = new TextEncoder();
const event = (message: object) => `event: message\ndata: ${JSON.stringify(message)}\n\n`;

/** A transport by hand: what it is given, and what it sends on the response of its call. */
class Transport {
	readonly given: unknown[] = [];
	/** How it answers an answer. */
	status = 202;
	isCancelled = false;
	controller: ReadableStreamDefaultController<Uint8Array> | undefined;

	async respond(request: Request): Promise<Response> {
		const session = { 'mcp-session-id': request.headers.get('mcp-session-id') ?? name };
		if (!request.headers.has('content-type')) return new Response(null, { status: 415 });
		const message: object = await request.json();
		this.given.push(message);
		if (!('method' in message)) return new Response(null, { status: this.status });
		const body = new ReadableStream<Uint8Array>({
			start: (controller) => void (this.controller = controller),
			cancel: () => void (this.isCancelled = true),
		});
		if (message.method === 'initialize') {
			this.send(event({ jsonrpc: '2.0', id: 0, result: {} }));
			this.controller?.close();
		}
		return new Response(body, { headers: { 'content-type': 'text/event-stream', ...session } });
	}

	send(text: string): void {
		this.controller?.enqueue(encoder.encode(text));
	}
}

let name: string;
let transport: Transport;
beforeEach(() => {
	name = crypto.randomUUID();
	transport = new Transport();
});

function gatewayOf(
	namespace: SyncLayerNamespace = env.TMCP_DURABLE_OBJECT,
	options: SessionGatewayOptions = {},
) {
	const gateway = new SessionGateway(transport, namespace, {
		sessionIds: 'transport',
		...options,
	});
	const post = (message: object, headers: Record<string, string> = {}) =>
		gateway.respond(
			new Request(URL, {
				method: 'POST',
				headers: { 'content-type': 'application/json', ...headers },
				body: JSON.stringify({ jsonrpc: '2.0', ...message }),
			}),
		);
	const call = async () => {
		await (await post({ id: 0, method: 'initialize', params: INITIALIZE }))?.body?.cancel();
		const response = await post({ id: 'c', method: 'call' }, { 'mcp-session-id': name });
		return new EventStream(response?.body ?? null);
	};
	return { call, answer: (message: object) => post(message, { 'mcp-session-id': name }) };
}

const idOf = (message: unknown): unknown => Reflect.get(Object(message), 'id');

describe('an answer is given to the transport', () => {
	it.each([[3], ['3'], [''], [-1]])('under the id that the server gave: %j', async (id) => {
		const { call, answer } = gatewayOf();
		const stream = await call();
		transport.send(event({ ...ASK, id }));
		const [asked] = await stream.messages(1);
		expect(asked).toEqual({ ...ASK, id: expect.stringMatching(/^[\da-f-]{36}\.[\da-f-]{36}$/) });
		await answer({ id: idOf(asked), result: { x: 1 } });
		await vi.waitFor(() =>
			expect(transport.given.at(-1)).toEqual({ jsonrpc: '2.0', id, result: { x: 1 } }),
		);
		await stream.cancel();
	});

	it('only where the transport has nothing against the one who answers', async () => {
		const { call, answer } = gatewayOf();
		const stream = await call();
		transport.send(event(ASK));
		const [asked] = await stream.messages(1);
		transport.status = 401;
		expect((await answer({ id: idOf(asked), result: { by: 'a thief' } }))?.status).toBe(401);
		transport.status = 202;
		await answer({ id: idOf(asked), result: { by: 'the user' } });
		await vi.waitFor(() => expect(JSON.stringify(transport.given)).toContain('the user'));
		expect(JSON.stringify(transport.given)).not.toContain('a thief');
		await stream.cancel();
	});

	it('and where it takes none any more, the client is told that nothing comes of its call', async () => {
		const { call, answer } = gatewayOf();
		const stream = await call();
		transport.send(event(ASK));
		const [asked] = await stream.messages(1);
		const respond = transport.respond.bind(transport);
		transport.respond = async (request) => {
			const isHandedDown = (await request.clone().text()).includes('"id":7');
			return isHandedDown ? new Response(null, { status: 401 }) : respond(request);
		};
		await answer({ id: idOf(asked), result: {} });
		await stream.ended;
		expect((await stream.messages(2))[1]).toMatchObject({
			id: 'c',
			error: { code: -32603, message: expect.stringContaining('401') },
		});
		expect(transport.isCancelled).toBe(true);
	});
});

describe('where the object cannot be told', () => {
	it('and never answers, the server gets an error at its deadline, and the client nothing of the request', async () => {
		const namespace = onlyObject(env.TMCP_DURABLE_OBJECT, name, () => ({
			ask: () => new Promise(() => {}),
		}));
		const { call } = gatewayOf(namespace, { answerTimeout: 100 });
		const stream = await call();
		transport.send(event(ASK) + event({ jsonrpc: '2.0', method: 'after' }));
		expect(await stream.messages(1)).toEqual([{ jsonrpc: '2.0', method: 'after' }]);
		await vi.waitFor(() =>
			expect(transport.given.at(-1)).toEqual({
				jsonrpc: '2.0',
				id: 7,
				error: { code: -32001, message: expect.stringContaining('within 0.1 seconds') },
			}),
		);
		await stream.cancel();
	});

	it('the request does not leave, the server gets an error, and the rest of the response goes on', async () => {
		const namespace = onlyObject(env.TMCP_DURABLE_OBJECT, name, () => ({
			ask: () => Promise.reject(new Error('The object is away.')),
		}));
		const { call } = gatewayOf(namespace);
		const stream = await call();
		transport.send(event(ASK) + event({ jsonrpc: '2.0', method: 'after' }));
		expect(await stream.messages(1)).toEqual([{ jsonrpc: '2.0', method: 'after' }]);
		await vi.waitFor(() =>
			expect(transport.given.at(-1)).toEqual({
				jsonrpc: '2.0',
				id: 7,
				error: { code: -32603, message: expect.stringContaining('The object is away.') },
			}),
		);
		await stream.cancel();
	});
});

describe('what is no request passes', () => {
	it('byte by byte, as soon as an event is whole', async () => {
		const { call } = gatewayOf();
		const stream = await call();
		const parts = [
			': c\n\n',
			'id:1\nevent:x\ndata:y\r\n\n',
			'data: {"id":1,"result":{}}\n\nda',
			'ta: z',
		];
		for (const part of parts) transport.send(part);
		await stream.until(() => stream.events.length === 1, 'a result');
		transport.controller?.close();
		await stream.ended;
		expect(stream.raw).toBe(parts.join(''));
	});

	it('an error too', async () => {
		const { call } = gatewayOf();
		const stream = await call();
		transport.controller?.error(new Error('It broke.'));
		await expect(stream.ended).rejects.toThrow('It broke.');
	});
});

it('a response that is no event stream is the transport’s own', async () => {
	const own = Response.json({});
	const respond = transport.respond.bind(transport);
	const { call, answer } = gatewayOf();
	await (await call()).cancel();
	transport.respond = async (request) =>
		(await request.clone().text()).includes('plain') ? own : respond(request);
	expect(await answer({ id: 1, method: 'plain' })).toBe(own);
});
