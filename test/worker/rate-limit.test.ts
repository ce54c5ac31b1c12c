import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import worker from '../../examples/snippets/rate-limit.ts';

const INITIALIZE = {
	jsonrpc: '2.0',
	id: 1,
	method: 'initialize',
	params: {
		protocolVersion: '2025-06-18',
		capabilities: {},
		clientInfo: { name: 'test', version: '1.0.0' },
	},
};

function initialize(address: string): Promise<Response> {
	const request = new Request<unknown, IncomingRequestCfProperties>('https://example.com/mcp', {
		method: 'POST',
		headers: {
			'content-type': 'application/json',
			accept: 'application/json, text/event-stream',
			'cf-connecting-ip': address,
		},
		body: JSON.stringify(INITIALIZE),
	});
	return worker.fetch(request, env);
}

/** The limit is 10 in a minute, and its minute may end while the test runs: a flood is longer than two of them. */
it('the rate limit of docs/rate-limits.md lets a flood of one client through up to its limit, and everybody else as before', async () => {
	const statuses: number[] = [];
	for (let flood = 0; flood < 30; flood++) {
		const response = await initialize('192.0.2.1');
		statuses.push(response.status);
		if (response.status === 429) {
			expect(response.headers.get('retry-after')).toBe('60');
			expect(await response.json()).toMatchObject({ error: { code: -32000 } });
		} else await response.text();
	}
	const served = statuses.filter((status) => status === 200).length;
	expect(served).toBeGreaterThanOrEqual(10);
	expect(served).toBeLessThanOrEqual(20);
	expect(statuses.filter((status) => status === 429)).toHaveLength(30 - served);
	const other = await initialize('192.0.2.2');
	expect(other.status).toBe(200);
	await other.text();
});
