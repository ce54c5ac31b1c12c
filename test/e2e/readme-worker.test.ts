import { expect, onTestFinished, test } from 'vitest';
import { startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { ListeningClient } from '../../examples/quickstart/demo/listening-client.ts';
import { McpClient } from '../../examples/quickstart/demo/mcp-client.ts';

const LIST_CHANGED = 'notifications/tools/list_changed';

test('the Worker that the README shows serves a client with a session and one that listens', async () => {
	const server = await startDevServer({ configs: ['test/e2e/workers/both/wrangler.jsonc'] });
	onTestFinished(server.stop);
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
