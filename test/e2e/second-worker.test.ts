import type { SubscriptionFilter } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ListeningClient } from '../../examples/quickstart/demo/listening-client.ts';
import { McpClient } from '../../examples/quickstart/demo/mcp-client.ts';
import { startTwoWorkers, type TwoWorkers } from './two-workers.ts';

describe('a second Worker, bound to the SyncLayer of the first by script_name', () => {
	let server: TwoWorkers;

	beforeAll(async () => {
		server = await startTwoWorkers();
	});
	afterAll(() => server?.stop());

	test('reaches a client of the first, and ends its stream', async () => {
		const client = await new McpClient('client', new URL('/quickstart/mcp', server.url)).connect();
		const session = `session=${client.sessionId}`;

		expect(await server.ask('GET', `/has?${session}`)).toEqual({ has: true });
		expect(await server.ask('POST', '/broadcast', 'to all')).toEqual({
			delivered: 1,
			missed: 0,
		});
		expect(await server.ask('POST', `/broadcast?${session}`, 'to you')).toEqual({
			delivered: 1,
			waiting: 0,
			missed: 0,
		});
		await client.receives('notifications/message', 2);
		expect(client.received.map(({ params }) => params?.['data'])).toEqual(['to all', 'to you']);

		expect(await server.ask('POST', `/detach?${session}`)).toEqual({ detached: true });
		await client.streamEnded();
		expect(await server.ask('GET', `/has?${session}`)).toEqual({ has: false });
		expect(await server.ask('POST', `/broadcast?${session}`, 'too late')).toEqual({
			delivered: 0,
			waiting: 1,
			missed: 0,
		});
	});

	test('tells the listeners of the first what each of them asked for', async () => {
		const listen = async (name: string, filter: SubscriptionFilter) => {
			const url = new URL('/quickstart/mcp', server.url);
			const client = await new ListeningClient(name, url).connect();
			onTestFinished(() => client.close());
			await client.listen(filter);
			return client;
		};
		const tools = await listen('tools', { toolsListChanged: true });
		const board = await listen('board', { resourceSubscriptions: ['memo://board'] });

		expect(await server.ask('POST', '/publish')).toEqual({ delivered: 1 });
		expect(await server.ask('POST', '/publish?resource=memo://board')).toEqual({ delivered: 1 });
		expect(await server.ask('POST', '/publish?resource=memo://other')).toEqual({ delivered: 0 });
		expect(await server.ask('POST', '/publish')).toEqual({ delivered: 1 });
		expect(await server.ask('POST', '/publish?resource=memo://board')).toEqual({ delivered: 1 });

		await tools.receives('notifications/tools/list_changed', 2);
		await board.receives('notifications/resources/updated', 2);
		expect(tools.received).toHaveLength(2);
		expect(board.received.map(({ params }) => params?.['uri'])).toEqual([
			'memo://board',
			'memo://board',
		]);
	});
});
