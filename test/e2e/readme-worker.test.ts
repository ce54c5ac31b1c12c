import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
	ElicitRequestSchema,
	ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { ListeningClient } from '../../examples/quickstart/demo/listening-client.ts';
import { McpClient } from '../../examples/quickstart/demo/mcp-client.ts';
import { LIMIT_MS } from '../../examples/quickstart/demo/recording-client.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { Network } from './network.ts';
import { ReadmeProject } from './readme-project.ts';

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
