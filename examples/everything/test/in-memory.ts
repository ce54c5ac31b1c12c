/** The same server with tmcp's in-memory managers, in Node: what fails here too, this library has no part in. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { HttpTransport } from '@tmcp/transport-http';
import { everything } from '../server.ts';

export interface InMemoryServer {
	url: URL;
	stop(): Promise<void>;
}

export async function startInMemoryServer(): Promise<InMemoryServer> {
	const transport = new HttpTransport(everything('no secret'), { path: '/mcp' });
	const http = createServer((incoming, outgoing) => {
		void answer(transport, incoming, outgoing);
	});
	await once(http.listen(0, '127.0.0.1'), 'listening');
	const address = http.address();
	if (typeof address !== 'object' || address === null) throw new Error('It does not listen.');
	return {
		url: new URL(`http://127.0.0.1:${address.port}`),
		async stop() {
			http.closeAllConnections();
			http.close();
			await once(http, 'close');
		},
	};
}

async function answer(
	transport: HttpTransport,
	incoming: IncomingMessage,
	outgoing: ServerResponse,
): Promise<void> {
	const { method = 'GET', url = '/', headers } = incoming;
	const response = await transport.respond(
		new Request(new URL(url, `http://${headers.host}`), {
			method,
			headers: Object.entries(headers).map(([name, value]): [string, string] => [
				name,
				String(value),
			]),
			...(method === 'POST' && { body: await text(incoming) }),
		}),
	);
	if (!response) {
		outgoing.writeHead(404).end();
		return;
	}
	outgoing.writeHead(response.status, Object.fromEntries(response.headers));
	outgoing.flushHeaders();
	const reader = response.body?.getReader();
	// The transport hears that its client has gone.
	outgoing.on('close', () => void reader?.cancel().catch(() => {}));
	for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
		outgoing.write(part.value);
	}
	outgoing.end();
}
