import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
	ElicitRequestSchema,
	ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parseJsonc } from '../../examples/quickstart/demo/compatibility.ts';
import type { DevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { ListeningClient } from '../../examples/quickstart/demo/listening-client.ts';
import { McpClient } from '../../examples/quickstart/demo/mcp-client.ts';
import { LIMIT_MS } from '../../examples/quickstart/demo/recording-client.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { Network } from './network.ts';
import { ReadmeProject, shown } from './readme-project.ts';

const LIST_CHANGED = 'notifications/tools/list_changed';

/** How long somebody thinks about a question, in milliseconds. The runtime cancels a request that hangs long before. */
const ANSWER_AFTER_MS = 2_000;

/** Without keep-alives, the runtime cuts a listen stream after 60 ms. */
const LISTEN_FOR_MS = 2_000;

/** The README's Worker as it is shown, with a tool that asks its caller something, and the adapter that this takes. */
const asking = (worker: string) =>
	`${worker.replace('adapter: undefined', 'adapter: new ValibotJsonSchemaAdapter()')}
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import * as v from 'valibot';

server.tool({ name: 'ask', description: 'Ask how loud' }, async () => {
	const answer = await server.elicitation('How loud?', v.object({ loudness: v.string() }));
	return { content: [{ type: 'text', text: JSON.stringify(answer) }] };
});
`;

let project: ReadmeProject;

beforeAll(() => {
	project = new ReadmeProject(['@tmcp/adapter-valibot']);
});
afterAll(() => project?.remove());

/** The official client as it is, pauses included. */
async function connect(url: URL) {
	let heard = 0;
	const gets: number[] = [];
	const client = new Client(
		{ name: 'client', version: '1.0.0' },
		{ capabilities: { elicitation: {} } },
	);
	client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
		heard++;
	});
	const transport = new StreamableHTTPClientTransport(new URL('/mcp', url), {
		fetch: async (input, init) => {
			const response = await fetch(input, init);
			if (init?.method === 'GET') gets.push(response.status);
			return response;
		},
	});
	await client.connect(transport);
	onTestFinished(() => client.close());
	await waitFor('the stream', LIMIT_MS, () => gets.length > 0);
	return { client, gets, heard: () => heard };
}

describe('the Worker that the README begins with', () => {
	let server: DevServer;

	beforeAll(async () => {
		server = await project.start(asking(project.worker));
	});
	afterAll(() => server?.stop());

	test('serves a client with a session and one that listens', async () => {
		const url = new URL('/mcp', server.url);
		const session = await new McpClient('session', url).connect();
		onTestFinished(() => session.drop());
		const listener = await new ListeningClient('listener', url).connect();
		onTestFinished(() => listener.close());
		await listener.listen({ toolsListChanged: true });

		expect(await session.call('ring')).toBe('Ding!');
		expect(await listener.call('ring')).toBe('Ding!');

		for (const client of [session, listener]) {
			await client.receives(LIST_CHANGED, 2);
			expect(client.received).toHaveLength(2);
		}
	});

	test.each(['noticed', 'unnoticed'] as const)(
		'lets the official client come back whose connection was cut (%s by the server), and it hears what it missed',
		async (how) => {
			const network = await Network.to(server.url);
			onTestFinished(() => network.close());
			const { gets, heard } = await connect(network.url);
			const ringer = await new McpClient('ringer', new URL('/mcp', server.url)).connect();
			onTestFinished(() => ringer.drop());

			network.cut(how);
			network.restore();
			await ringer.call('ring');
			await waitFor('the client to be back', LIMIT_MS, () => gets.length > 1);
			await ringer.call('ring');

			await waitFor('both rings', LIMIT_MS, () => heard() === 2);
			expect(gets).toEqual([200, 200]);
		},
	);

	test('lets a tool ask its caller, who takes two seconds to answer', async () => {
		const { client } = await connect(server.url);
		const answer = { action: 'accept' as const, content: { loudness: 'very' } };
		client.setRequestHandler(ElicitRequestSchema, () => setTimeout(ANSWER_AFTER_MS, answer));

		const { content } = await client.callTool({ name: 'ask', arguments: {} });

		expect(content).toEqual([{ type: 'text', text: JSON.stringify(answer) }]);
	});

	test('keeps the stream of a listener open, who hears what comes later', async () => {
		const url = new URL('/mcp', server.url);
		const listener = await new ListeningClient('listener', url).connect();
		onTestFinished(() => listener.close());
		const caller = await new ListeningClient('caller', url).connect();
		onTestFinished(() => caller.close());
		const { closed } = await listener.listen({ toolsListChanged: true });

		expect(await Promise.race([closed, setTimeout(LISTEN_FOR_MS, 'open')])).toBe('open');

		await caller.call('ring');
		await listener.receives(LIST_CHANGED, 1);
	});
});

/** Two starts of `wrangler dev` a test. */
const TWO_STARTS = { timeout: 120_000 };

describe('what the documentation says of the class', TWO_STARTS, () => {
	const EXPORT = "export { SyncLayer } from '@tmcp/session-manager-durable-objects';\n";

	/** The status of a request of a session. */
	async function ping(server: DevServer, session: string): Promise<number> {
		const response = await fetch(new URL('/mcp', server.url), {
			method: 'POST',
			headers: { 'content-type': 'application/json', 'mcp-session-id': session },
			body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
		});
		await response.text();
		return response.status;
	}

	test('a subclass that is exported as SyncLayer takes over its sessions and applies its options', async () => {
		const before = await project.start();
		onTestFinished(before.stop);
		const client = await new McpClient('client', new URL('/mcp', before.url)).connect();
		const { sessionId } = client;
		await client.drop();
		await before.stop();
		const subclass = shown('ts', 'snippets/options.ts', 'docs/settings.md').replace('16_384', '0');

		const after = await project.start(project.worker.replace(EXPORT, subclass));
		onTestFinished(after.stop);

		expect(await ping(after, sessionId)).toBe(200);
		expect(await ping(after, crypto.randomUUID())).toBe(404);
		const listener = await new ListeningClient('listener', new URL('/mcp', after.url)).connect();
		onTestFinished(() => listener.close());
		await expect(listener.listen({ toolsListChanged: true })).rejects.toThrow(
			/TOO_MANY_SUBSCRIPTIONS/,
		);
	});

	test('a Worker that was deployed with version 0.3 gets a class with SQLite', async () => {
		const own = new ReadmeProject(['peer']);
		onTestFinished(() => own.remove());
		const { exports: _, ...configuration } = parseJsonc(own.configuration);
		const migrations = [{ tag: 'v1', new_classes: ['SyncLayer'] }];
		const old = `
			import { HttpTransport } from '@tmcp/transport-http';
			import { DurableObjectStreamSessionManager, KVInfoSessionManager } from 'peer';
			import { McpServer } from 'tmcp';
			export { SyncLayer } from 'peer';
			const server = new McpServer({ name: 'old', version: '0.3.0' }, { adapter: undefined, capabilities: {} });
			const sessionManager = { streams: new DurableObjectStreamSessionManager(), info: new KVInfoSessionManager() };
			const transport = new HttpTransport(server, { path: '/mcp', sessionManager });
			export default { fetch: (request) => transport.respond(request) };
		`;
		const before = await own.start(old, JSON.stringify({ ...configuration, migrations }));
		onTestFinished(before.stop);
		const client = await new McpClient('client', new URL('/mcp', before.url)).connect();
		await client.drop();
		await before.stop();

		const steps = ['Give the Worker a new class', 'docs/migration.md'] as const;
		const worker = own.worker.replace(EXPORT, shown('ts', ...steps));
		const changed = { ...configuration, ...parseJsonc(`{ ${shown('jsonc', ...steps)} }`) };
		const after = await own.start(worker, JSON.stringify(changed));
		onTestFinished(after.stop);

		expect(await ping(after, client.sessionId)).toBe(404);
		const anew = await new McpClient('anew', new URL('/mcp', after.url)).connect();
		onTestFinished(() => anew.drop());
		await anew.drop();
		const ringer = await new McpClient('ringer', new URL('/mcp', after.url)).connect();
		onTestFinished(() => ringer.drop());
		await ringer.call('ring');
		await anew.reconnect();
		await anew.receives(LIST_CHANGED, 1);
	});
});
