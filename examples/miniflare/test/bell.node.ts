/** Run it with `npx node --test examples/miniflare/test/bell.node.ts`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';

const config = fileURLToPath(new URL('../wrangler.jsonc', import.meta.url));
const bundle = mkdtempSync(join(tmpdir(), 'bell-'));
let miniflare: Miniflare;

before(async () => {
	// Miniflare takes JavaScript, in one file: what wrangler would deploy.
	const deploy = ['wrangler', 'deploy', '--dry-run', '--config', config, '--outdir', bundle];
	execFileSync('npx', deploy, { stdio: 'pipe' });
	const options = {
		modules: true as const,
		modulesRoot: bundle,
		scriptPath: join(bundle, 'worker.js'),
		compatibilityDate: '2026-08-01',
		compatibilityFlags: ['nodejs_compat'],
		durableObjects: { TMCP_DURABLE_OBJECT: { className: 'SyncLayer', useSQLite: true } },
	};
	// Miniflare 4 takes them as they are. wrangler brings 5, whose own are longer.
	miniflare = new Miniflare(convertV4MiniflareOptions(options));
	await miniflare.ready;
});
after(async () => {
	await miniflare.dispose();
	rmSync(bundle, { recursive: true });
});

/** What is called of the object. Where Workers types are installed: `DurableObjectNamespace<SyncLayer>`. */
interface Bindings {
	TMCP_DURABLE_OBJECT: {
		getByName(name: string): {
			has(session: string): Promise<boolean>;
			broadcast(sessions: string[], data: string): Promise<object>;
		};
	};
}

/** A session, and what comes on its stream. */
async function connect() {
	const headers: Record<string, string> = { 'content-type': 'application/json' };
	const post = (method: string, params: object) => {
		const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
		return miniflare.dispatchFetch('http://localhost/mcp', { method: 'POST', headers, body });
	};
	const clientInfo = { name: 'test', version: '1.0.0' };
	const client = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
	const initialized = await post('initialize', client);
	await initialized.text();
	headers['mcp-session-id'] = initialized.headers.get('mcp-session-id') ?? '';
	const stream = await miniflare.dispatchFetch('http://localhost/mcp', { headers });
	const reader = stream.body?.getReader();
	const decoder = new TextDecoder();
	return {
		sessionId: headers['mcp-session-id'],
		call: async (name: string) => (await post('tools/call', { name, arguments: {} })).text(),
		/** Reads on until this has been heard. */
		async hears(text: string) {
			let heard = '';
			while (!heard.includes(text)) {
				const part = await reader?.read();
				assert(part?.done === false, `The stream has ended after ${heard}`);
				heard += decoder.decode(part.value, { stream: true });
			}
		},
		leave: () => reader?.cancel(),
	};
}

test('every client hears the bell', async () => {
	const [ringer, listener] = await Promise.all([connect(), connect()]);
	assert.match(await ringer.call('ring'), /Ding!/);
	await listener.hears('notifications/tools/list_changed');
	await Promise.all([ringer.leave(), listener.leave()]);
});

test('the object can be called from Node', async () => {
	const client = await connect();
	const { TMCP_DURABLE_OBJECT } = await miniflare.getBindings<Bindings>();
	const object = TMCP_DURABLE_OBJECT.getByName('TMCP_DURABLE_OBJECT');
	assert.equal(await object.has(client.sessionId), true);

	const notification = { jsonrpc: '2.0', method: 'notifications/message', params: { data: 'Hi' } };
	const event = `event: message\ndata: ${JSON.stringify(notification)}\n\n`;
	const sent = await object.broadcast([client.sessionId], event);

	assert.deepEqual({ ...sent }, { delivered: 1, waiting: 0, missed: 0 });
	await client.hears('Hi');
	await client.leave();
});
