import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { localUrlOf } from '../e2e/local-url.ts';
import { EventStream, type Reading } from './event-stream.ts';

let server: Server;

afterEach(() => {
	server.close();
});

/** A server whose response has three events, one at a time, and then an end. */
async function serve(): Promise<URL> {
	server = createServer(async (_, response) => {
		for (let id = 1; id <= 3; id++) {
			response.write(`id: ${id}\ndata: x\n\n`);
			await wait(20);
		}
		response.end();
	});
	await once(server.listen(0, '127.0.0.1'), 'listening');
	return localUrlOf(server);
}

async function readUntilEnded(reading: Reading): Promise<(string | undefined)[]> {
	const ids: (string | undefined)[] = [];
	const stream = new EventStream(await serve(), {}, { reading, slowMs: 150 }, ({ id }) =>
		ids.push(id),
	);
	await stream.ended;
	return ids;
}

test('a stream has ended for a slow client when it has read the rest of it', async () => {
	expect(await readUntilEnded('slow')).toEqual(['1', '2', '3']);
});

test('a stream has ended for a client that reads nothing when its connection has', async () => {
	expect(await readUntilEnded('none')).toEqual([]);
});
