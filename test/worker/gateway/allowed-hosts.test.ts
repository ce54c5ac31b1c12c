import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import * as v from 'valibot';
import { describe, expect, it, vi } from 'vitest';
import { DurableObjectSessions } from '../../../src/index.ts';
import { AllowedHostsSchema, isForAllowedHost } from '../../../src/worker/gateway/allowed-hosts.ts';
import { codeOf } from '../../support/codes.ts';
import { INITIALIZE } from './client.ts';

const json = { 'content-type': 'application/json' };
const LOCAL = ['localhost', '127.0.0.1', '[::1]'];

describe('a request', () => {
	it.each([
		// No port stands for any port.
		[LOCAL, 'http://localhost/mcp', undefined, true],
		[LOCAL, 'http://localhost:8787/mcp', undefined, true],
		[LOCAL, 'http://127.0.0.1:1/mcp', '127.0.0.1:1', true],
		[LOCAL, 'http://[::1]:8787/mcp', '[::1]:8787', true],
		[LOCAL, 'http://evil.example/mcp', undefined, false],
		[LOCAL, 'http://evil.example:8787/mcp', 'evil.example:8787', false],
		// Both must name an allowed host.
		[LOCAL, 'http://localhost/mcp', 'evil.example', false],
		[LOCAL, 'http://evil.example/mcp', 'localhost', false],
		[LOCAL, 'http://localhost/mcp', 'localhost, evil.example', false],
		[LOCAL, 'http://localhost/mcp', '', false],
		// A name is compared as a whole.
		[LOCAL, 'http://localhost.evil.example/mcp', undefined, false],
		[LOCAL, 'http://evil-localhost/mcp', undefined, false],
		[LOCAL, 'http://localhost./mcp', undefined, false],
		[LOCAL, 'http://localhost@evil.example/mcp', undefined, false],
		[LOCAL, 'http://[::2]/mcp', undefined, false],
		[['example.com'], 'https://sub.example.com/mcp', undefined, false],
		// In its one spelling.
		[['Example.COM'], 'https://example.com/mcp', 'EXAMPLE.com', true],
		[['münchen.example'], 'https://xn--mnchen-3ya.example/mcp', undefined, true],
		[['[0:0:0:0:0:0:0:1]'], 'http://[::1]/mcp', undefined, true],
		// A port stands for that one only, the default one included.
		[['localhost:8787'], 'http://localhost:8787/mcp', 'localhost:8787', true],
		[['localhost:8787'], 'http://localhost:8788/mcp', undefined, false],
		[['localhost:8787'], 'http://localhost/mcp', undefined, false],
		[['localhost:8787'], 'http://localhost:8787/mcp', 'localhost', false],
		[['example.com:443'], 'https://example.com/mcp', 'example.com', true],
		[['example.com:443'], 'http://example.com/mcp', undefined, false],
		[['example.com:80'], 'http://example.com/mcp', 'example.com:80', true],
		[['example.com:80', 'example.com:81'], 'http://example.com:81/mcp', undefined, true],
	])('with %j allowed, to %s and with the header %s, is let in: %s', (allowed, url, host, isSo) => {
		const request = new Request(url, { headers: host === undefined ? {} : { host } });
		const hosts = v.parse(AllowedHostsSchema, allowed);
		expect(isForAllowedHost(new URL(request.url), request, hosts)).toBe(isSo);
	});
});

describe('a gateway that is told its hosts', () => {
	const owner = vi.fn<() => undefined>();

	function gatewayWith(allowedHosts: string[]) {
		const server = new McpServer(
			{ name: 'test', version: '1.0.0', description: 'test' },
			{ adapter: undefined, capabilities: {} },
		);
		const sessions = new DurableObjectSessions({ owner, gateway: { allowedHosts } });
		const transport = new HttpTransport(server, {
			...sessions.transport,
			allowedOrigins: ['https://good.example'],
		});
		const respond = vi.spyOn(transport, 'respond');
		return { gateway: sessions.gateway(transport), respond };
	}

	const initialize = (url: string, headers: Record<string, string> = {}) =>
		new Request(url, {
			method: 'POST',
			headers: { ...json, ...headers },
			body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE }),
		});

	async function statusOf(responding: Promise<Response | null>): Promise<number | undefined> {
		const response = await responding;
		await response?.body?.cancel();
		return response?.status;
	}

	it.each(['GET', 'POST', 'DELETE', 'OPTIONS', 'PUT'])(
		'refuses a %s to another one before it asks anybody, with and without a session',
		async (method) => {
			const { gateway, respond } = gatewayWith(LOCAL);
			owner.mockClear();
			for (const headers of [
				json,
				{ ...json, 'mcp-protocol-version': '2026-07-28' },
				{ ...json, 'mcp-session-id': crypto.randomUUID() },
			]) {
				const request = new Request('http://evil.example/mcp', { method, headers });
				expect(await statusOf(gateway.respond(request))).toBe(403);
			}
			expect(respond).not.toHaveBeenCalled();
			expect(owner).not.toHaveBeenCalled();
		},
	);

	it('closes what `allowedOrigins` leaves open: a page whose origin is the host that it was rebound from', async () => {
		const rebound = () => initialize('http://evil.example/mcp', { origin: 'http://evil.example' });
		const { gateway, respond } = gatewayWith(LOCAL);
		expect(await statusOf(gateway.respond(rebound()))).toBe(403);
		expect(respond).not.toHaveBeenCalled();
		const open = gatewayWith(['evil.example']);
		expect(await statusOf(open.gateway.respond(rebound()))).toBe(200);
	});

	it.each([
		[undefined, 200],
		['http://localhost:8787', 200],
		['https://good.example', 200],
		['https://evil.example', 403],
		['null', 403],
	])('leaves the origin %s to `allowedOrigins`: %i', async (origin, status) => {
		const { gateway } = gatewayWith(LOCAL);
		const request = initialize('http://localhost:8787/mcp', origin === undefined ? {} : { origin });
		expect(await statusOf(gateway.respond(request))).toBe(status);
	});

	it('leaves other paths to others', async () => {
		const { gateway } = gatewayWith(LOCAL);
		expect(await gateway.respond(initialize('http://www.example/elsewhere'))).toBeNull();
	});

	it.each([
		[[]],
		[['']],
		[['https://example.com']],
		[['example.com/mcp']],
		[['user@example.com']],
		[['::1']],
		[['*']],
		[['*.example.com']],
		[['example.com:']],
		[['example.com:*']],
		[['example.com:port']],
		[['example.com:65536']],
	])('takes no list such as %j', async (allowedHosts) => {
		expect(await codeOf(() => gatewayWith(allowedHosts))).toBe('INVALID_ARGUMENT');
	});
});
