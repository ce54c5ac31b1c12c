import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { parseJsonc } from '../../quickstart/demo/compatibility.ts';
import { type DevServer, startDevServer } from '../../quickstart/demo/dev-server.ts';
import { ListeningClient } from '../../quickstart/demo/listening-client.ts';
import { McpClient } from '../../quickstart/demo/mcp-client.ts';

const MEMO = 'memo://board';
const UPDATED = 'notifications/resources/updated';

/** A Worker that goes through the three steps, each on what the one before has stored. */
class Migrated {
	readonly kind: 'sqlite' | 'new-classes';
	/** The session that 0.3 began. */
	session = '';
	#state = '';
	#server: DevServer | undefined;

	constructor(kind: Migrated['kind']) {
		this.kind = kind;
	}

	get url(): URL {
		return new URL('/mcp', this.#server?.url);
	}

	/** Stop the Worker, and start that of the next step. */
	async start(step: string): Promise<void> {
		await this.#server?.stop();
		this.#state ||= await mkdtemp(join(tmpdir(), 'migration-'));
		const configs = [`examples/migration/${step}.${this.kind}.jsonc`];
		this.#server = await startDevServer({ configs, state: this.#state });
	}

	async end(): Promise<void> {
		await this.#server?.stop();
		await rm(this.#state, { recursive: true, force: true });
	}

	/** A request of the session. */
	async post(method: string, params: object = {}): Promise<{ status: number; text: string }> {
		const response = await fetch(this.url, {
			method: 'POST',
			headers: { 'content-type': 'application/json', 'mcp-session-id': this.session },
			body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
		});
		return { status: response.status, text: await response.text() };
	}

	async call(name: string): Promise<string> {
		return (await this.post('tools/call', { name, arguments: {} })).text;
	}
}

const workers = [new Migrated('sqlite'), new Migrated('new-classes')];
afterAll(() => Promise.all(workers.map((worker) => worker.end())));

/** Both classes at once: to start a Worker takes most of the time. */
const each = (act: (worker: Migrated) => Promise<void>) => Promise.all(workers.map(act));

beforeAll(async () => {
	await each(async (worker) => {
		await worker.start('1-before');
		const client = await new McpClient('of-0.3', worker.url).connect();
		worker.session = client.sessionId;
		await client.subscribe(MEMO);
		await worker.post('logging/setLevel', { level: 'error' });
		await client.drop();
	});
});

test('0.3 has stored what it knows of its client', async () => {
	await each(async (worker) => {
		expect(await worker.call('who_am_i')).toContain('of-0.3');
	});
});

test('with the new package alone, the session goes on, and what is known of its client with it', async () => {
	await each(async (worker) => {
		await worker.start('2-package');

		const known = await worker.call('who_am_i');

		expect(known).toContain('of-0.3');
		// 0.3 wrote the level, and could not read it.
		expect(known).toMatch(/logLevel\W+error/);
		const stream = await fetch(worker.url, { headers: { 'mcp-session-id': worker.session } });
		expect(stream.status).toBe(200);
		// It subscribes once more: subscriptions have other keys.
		await worker.post('resources/subscribe', { uri: MEMO });
		await worker.call('touch_memo');
		let heard = '';
		for await (const text of stream.body?.pipeThrough(new TextDecoderStream()) ?? [])
			if ((heard += text).includes(UPDATED)) break;
		expect(heard).toContain(MEMO);
	});
});

test('behind the gateway, the client initialises once more, and hears from then on what it misses', async () => {
	await each(async (worker) => {
		await worker.start('3-after');

		expect((await worker.post('ping')).status).toBe(404);

		const client = await new McpClient('anew', worker.url).connect();
		onTestFinished(() => client.drop());
		const listener = await new ListeningClient('listener', worker.url).connect();
		onTestFinished(() => listener.close());
		await listener.listen({ resourceSubscriptions: ['a', 'b', 'c', 'd', 'e', MEMO] });
		await client.subscribe(MEMO);
		await client.drop();
		const other = await new McpClient('other', worker.url).connect();
		onTestFinished(() => other.drop());
		await other.call('touch_memo');
		await client.reconnect();
		for (const one of [client, listener]) await one.receives(UPDATED, 1);
	});
});

test('the configurations differ as the README says, and in nothing else', async () => {
	const read = async (name: string) => {
		const file = join(import.meta.dirname, '..', name);
		const { main: _, ...rest } = parseJsonc(await readFile(file, 'utf8'));
		return rest;
	};
	for (const kind of ['sqlite', 'new-classes'])
		expect(await read(`2-package.${kind}.jsonc`)).toEqual(await read(`1-before.${kind}.jsonc`));
	expect(await read('3-after.sqlite.jsonc')).toEqual(await read('1-before.sqlite.jsonc'));
	const { durable_objects, migrations, ...same } = await read('3-after.new-classes.jsonc');
	expect(await read('1-before.new-classes.jsonc')).toMatchObject(same);
	const readme = await readFile(join(import.meta.dirname, '../README.md'), 'utf8');
	const [, shown = ''] = /```jsonc\n([\s\S]*?)```/.exec(readme) ?? [];
	expect(parseJsonc(`{ ${shown} }`)).toEqual({ durable_objects, migrations });
});
