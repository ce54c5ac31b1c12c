import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { startTwoWorkers } from './two-workers.ts';

const LIMIT_MS = 20_000;

/** The quickstart and another Worker, with what was stored before. */
async function start(state: string) {
	const server = await startTwoWorkers({ state });
	onTestFinished(server.stop);
	const mcp = new URL('/quickstart/mcp', server.url);
	const send = (session: string, text: string) =>
		server.ask('POST', `/broadcast?session=${session}`, text);

	/** A client that says hello. @returns its session */
	async function begin(): Promise<string> {
		const params = {
			protocolVersion: '2025-06-18',
			capabilities: {},
			clientInfo: { name: 'client', version: '1.0.0' },
		};
		const response = await fetch(mcp, {
			method: 'POST',
			headers: {
				'content-type': 'application/json',
				accept: 'application/json, text/event-stream',
			},
			body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
		});
		await response.text();
		return response.headers.get('mcp-session-id') ?? '';
	}

	/** The stream of a session. @returns what came on it, and how to go away */
	async function listen(session: string, headers: Record<string, string> = {}) {
		const abort = new AbortController();
		const response = await fetch(mcp, {
			signal: abort.signal,
			headers: { accept: 'text/event-stream', 'mcp-session-id': session, ...headers },
		});
		expect(response.status).toBe(200);
		let text = '';
		const reading = response.body
			?.pipeThrough(new TextDecoderStream())
			.pipeTo(new WritableStream({ write: (chunk) => void (text += chunk) }))
			.catch(() => {});
		const messages = () => [...text.matchAll(/"data":"(.*?)"/g)].map(([, message]) => message);
		const get = async (count: number) => {
			await waitFor(`${count} messages`, LIMIT_MS, () => messages().length >= count);
			return messages();
		};
		const leave = async () => {
			abort.abort();
			await reading;
			return [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? '';
		};
		return { get, leave };
	}
	return { server, send, begin, listen };
}

test('a session, its place and what waits for it survive the object, the Worker and the client', async () => {
	const state = await mkdtemp(join(tmpdir(), 'state-'));
	onTestFinished(() => rm(state, { recursive: true, force: true, maxRetries: 3 }));
	const before = await start(state);
	const [resuming, silent, late] = [
		await before.begin(),
		await before.begin(),
		await before.begin(),
	];
	const [first, second] = [await before.listen(resuming), await before.listen(silent)];
	for (const session of [resuming, silent]) await before.send(session, 'one');
	await Promise.all([first.get(1), second.get(1)]);
	const lastEventId = await first.leave();
	await second.leave();
	// Nobody may know yet that they are gone: only the one that names its last event can be given this.
	for (const session of [resuming, late]) await before.send(session, 'two');
	await before.server.stop();

	const after = await start(state);
	await after.send(silent, 'two');
	for (const session of [resuming, silent, late]) await after.send(session, 'three');
	const streams = [
		{ stream: await after.listen(resuming, { 'last-event-id': lastEventId }), missed: [] },
		// It names no event: what its first stream got may not have been read.
		{ stream: await after.listen(silent), missed: ['one'] },
		{ stream: await after.listen(late), missed: [] },
	];
	for (const { stream, missed } of streams) {
		expect(await stream.get(missed.length + 2)).toEqual([...missed, 'two', 'three']);
		await stream.leave();
	}
});
