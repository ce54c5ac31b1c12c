/** Two processes of `wrangler dev` that share an object: two instances, between which nothing is sticky. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { RawStream } from './raw-stream.ts';

const LIMIT_MS = 10_000;

let registry: string;
let first: DevServer;
let second: DevServer;

const start = (name: string) =>
	startDevServer({ configs: [`test/e2e/workers/asking/${name}.jsonc`], registry });

beforeAll(async () => {
	registry = await mkdtemp(join(tmpdir(), 'registry-'));
	first = await start('first');
	second = await start('second');
}, 120_000);
afterAll(async () => {
	await second?.stop();
	await first?.stop();
	await rm(registry, { recursive: true, force: true });
});

const mcp = (server: DevServer) => new URL('/mcp', server.url);

async function held(): Promise<unknown> {
	return (await fetch(new URL('/held', first.url))).json();
}

function nothingIsLeft(): Promise<unknown> {
	return waitFor('all to be answered', LIMIT_MS, async () => {
		return JSON.stringify(await held()) === JSON.stringify({ rows: 0, askers: 0 });
	});
}

/** The official client, whose requests go to the first instance, and whose answers go where they are told to. */
async function connect(answersTo: () => DevServer, onElicit: () => Promise<unknown> | void) {
	const client = new Client(
		{ name: 'answering', version: '1.0.0' },
		{ capabilities: { elicitation: {} } },
	);
	let amount = 0;
	client.setRequestHandler(ElicitRequestSchema, async () => {
		await onElicit();
		return { action: 'accept', content: { amount: ++amount } };
	});
	const transport = new StreamableHTTPClientTransport(mcp(first), {
		fetch: (url, init) => {
			const isAnswer = typeof init?.body === 'string' && init.body.includes('"result"');
			return fetch(isAnswer ? mcp(answersTo()) : url, init);
		},
	});
	await client.connect(transport);
	onTestFinished(() => client.close());
	return client;
}

/** A session by hand. */
async function begin(others: Record<string, string> = {}) {
	const headers = {
		'content-type': 'application/json',
		accept: 'application/json, text/event-stream',
		...others,
	};
	const message = (body: object) => JSON.stringify({ jsonrpc: '2.0', ...body });
	const clientInfo = { name: 'by hand', version: '1.0.0' };
	const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
	const initialized = await fetch(mcp(first), {
		method: 'POST',
		headers,
		body: message({ id: 0, method: 'initialize', params }),
	});
	await initialized.text();
	const session = initialized.headers.get('mcp-session-id') ?? '';
	const ofSession = { ...headers, 'mcp-session-id': session };
	const tool = { name: 'ask', arguments: { times: 1 } };
	return {
		ask: (server: DevServer) =>
			RawStream.post(
				mcp(server),
				ofSession,
				message({ id: 1, method: 'tools/call', params: tool }),
			),
		answer: (server: DevServer, id: string) =>
			fetch(mcp(server), {
				method: 'POST',
				headers: ofSession,
				body: message({ id, result: {} }),
			}),
	};
}

async function idOn(stream: RawStream): Promise<string> {
	await stream.receives('"test/ask"');
	return /"id":"([^"]+)"/.exec(stream.text)?.[1] ?? '';
}

test.each([
	['the process that asked', () => first],
	['another process', () => second],
])('20 of 20 elicitations of the official client are answered through %s', async (_, instance) => {
	const client = await connect(instance, () => {});
	for (let nth = 1; nth <= 20; nth++) {
		const result = await client.callTool({ name: 'order', arguments: { what: 'tea' } });
		expect(result.content).toEqual([{ type: 'text', text: `${nth} of tea` }]);
	}
	await nothingIsLeft();
});

test('the object is replaced while a tool waits, and the answer arrives all the same', async () => {
	const client = await connect(
		() => first,
		async () => void (await fetch(new URL('/replace', first.url))),
	);
	for (let nth = 1; nth <= 3; nth++) {
		const result = await client.callTool({ name: 'order', arguments: { what: 'tea' } });
		expect(result.content).toEqual([{ type: 'text', text: `${nth} of tea` }]);
	}
	await nothingIsLeft();
});

test('a request that waits is not taken for hung, however long it waits', async () => {
	const client = await connect(
		() => second,
		() => new Promise((resolve) => setTimeout(resolve, 15_000)),
	);
	const result = await client.callTool({ name: 'order', arguments: { what: 'tea' } });
	expect(result.content).toEqual([{ type: 'text', text: '1 of tea' }]);
});

test('a client that vanished without a word leaves nothing behind once a keep-alive has noticed', async () => {
	const { ask } = await begin({ 'x-keep-alive': 'yes' });
	const stream = await ask(first);
	await idOn(stream);
	expect(await held()).toEqual({ rows: 1, askers: 1 });
	stream.vanish();
	await nothingIsLeft();
});

test('the answer to a process that has died is told to be lost', async () => {
	const { ask, answer } = await begin();
	const stream = await ask(second);
	const id = await idOn(stream);
	await second.stop();
	const lost = await answer(first, id);
	expect(lost.status).toBe(410);
	expect(await lost.json()).toMatchObject({ error: { message: expect.stringContaining('lost') } });
	expect((await answer(first, id)).status).toBe(202);
});
