/** A tool asks at one instance, and its caller answers at another one: `npx node examples/elicitation/demo/demo.ts`. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevServer, startDevServer } from '../../quickstart/demo/dev-server.ts';

/** Through which the two processes find each other. */
const registry = mkdtempSync(join(tmpdir(), 'registry-'));
process.on('exit', () => rmSync(registry, { recursive: true, force: true }));

const start = (name: string) =>
	startDevServer({ configs: [`examples/elicitation/${name}.jsonc`], registry });

/** The official client, which sends everything to the first instance, and its answers to the second. */
async function order(first: DevServer, second: DevServer): Promise<void> {
	const client = new Client(
		{ name: 'guest', version: '1.0.0' },
		{ capabilities: { elicitation: {} } },
	);
	client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
		console.log(`the first instance asks:      ${params.message}`);
		return { action: 'accept', content: { cups: 3 } };
	});
	let taken: Promise<Response> | undefined;
	const transport = new StreamableHTTPClientTransport(new URL('/mcp', first.url), {
		fetch: (url, init) => {
			const isAnswer = typeof init?.body === 'string' && init.body.includes('"result"');
			if (!isAnswer) return fetch(url, init);
			taken = fetch(new URL('/mcp', second.url), init);
			return taken;
		},
	});
	await client.connect(transport);
	const { content } = await client.callTool({ name: 'order_tea', arguments: {} });
	console.log(`the second takes the answer:  ${(await taken)?.status}`);
	console.log(`the tool at the first says:   ${JSON.stringify(content)}`);
	await client.close();
}

const [first, second] = await Promise.all([start('first'), start('second')]);
try {
	await order(first, second);
} finally {
	await Promise.all([first.stop(), second.stop()]);
}
