import { expect, onTestFinished, test } from 'vitest';
import { startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { RawStream } from './raw-stream.ts';

/** More than the sockets and proxies between Worker and client take from a Worker, in characters. */
const BACKLOG_CHARS = 24 * 1024 * 1024;

test('the late cancel of an old stream leaves its successor in another Worker alone', async () => {
	const server = await startDevServer({
		configs: ['front/streams', 'streams/first', 'streams/second'].map(
			(config) => `test/e2e/workers/${config}.jsonc`,
		),
	});
	onTestFinished(server.stop);
	const session = crypto.randomUUID();
	const via = (worker: 'first' | 'second') => new URL(`/${worker}/?session=${session}`, server.url);
	const send = (worker: 'first' | 'second', body: string) =>
		fetch(via(worker), { method: 'POST', body });
	const logged = (what: string) =>
		waitFor(`${what} in the log`, 20_000, () => server.logs().includes(`${session} ${what}`));

	// A client that does not read: what is queued for it keeps its response alive after the stream was superseded.
	const old = await RawStream.open(via('first'));
	onTestFinished(() => old.vanish());
	old.stopReading();
	await send('first', `: ${'x'.repeat(BACKLOG_CHARS)}\n\n`);
	await logged('has a backlog');
	const successor = await RawStream.open(via('second'));
	onTestFinished(() => successor.vanish());
	await send('first', 'data: before\n\n');
	await successor.receives('data: before');
	expect(server.logs()).not.toContain('was cancelled');

	old.vanish();
	await logged('was cancelled');

	await send('first', 'data: from the first\n\n');
	await send('second', 'data: from the second\n\n');
	await successor.receives('data: from the first');
	await successor.receives('data: from the second');
});
