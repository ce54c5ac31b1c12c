import type { Server } from 'node:net';

/** Where a server is that listens on 127.0.0.1. */
export function localUrlOf(server: Server): URL {
	const address = server.address();
	if (typeof address !== 'object' || address === null) throw new Error('It does not listen.');
	return new URL(`http://127.0.0.1:${address.port}`);
}
