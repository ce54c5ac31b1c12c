import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { McpClient } from '../../examples/quickstart/demo/mcp-client.ts';

describe('a second Worker, bound to the SyncLayer of the first by script_name', () => {
	let server: DevServer;

	beforeAll(async () => {
		server = await startDevServer({
			configs: [
				'test/e2e/workers/front/second-worker.jsonc',
				'wrangler.jsonc',
				'examples/second-worker/wrangler.jsonc',
			],
		});
	});
	afterAll(() => server?.stop());

	async function ask(method: 'GET' | 'POST', path: string, body?: string): Promise<unknown> {
		const url = new URL(`/second${path}`, server.url);
		const response = await fetch(url, { method, ...(body === undefined ? {} : { body }) });
		return response.json();
	}

	test('reaches a client of the first, and ends its stream', async () => {
		const client = await new McpClient('client', new URL('/quickstart/mcp', server.url)).connect();
		const session = `session=${client.sessionId}`;

		expect(await ask('GET', `/has?${session}`)).toEqual({ has: true });
		expect(await ask('POST', '/broadcast', 'to all')).toEqual({ delivered: 1, missed: 0 });
		expect(await ask('POST', `/broadcast?${session}`, 'to you')).toEqual({
			delivered: 1,
			missed: 0,
		});
		await client.receives('notifications/message', 2);
		expect(client.received.map(({ params }) => params?.['data'])).toEqual(['to all', 'to you']);

		expect(await ask('POST', `/detach?${session}`)).toEqual({ detached: true });
		await client.streamEnded();
		expect(await ask('GET', `/has?${session}`)).toEqual({ has: false });
		expect(await ask('POST', `/broadcast?${session}`, 'too late')).toEqual({
			delivered: 0,
			missed: 1,
		});
	});
});
