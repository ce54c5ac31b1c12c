import type { InfoSessionManager, StreamSessionManager } from '@tmcp/session-manager';
import { HttpTransport } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { McpServer } from 'tmcp';
import { expect, inject, it } from 'vitest';
import { SessionGateway } from '../../../src/index.ts';
import type { RelayInput, SyncLayerNamespace } from '../../../src/advanced.ts';
import { Random } from '../../torture/random.ts';

const REQUESTS = 10_000;
const LIMIT_MS = 120_000;

/** Enough that the test says something: so many times does the transport alone serve a session that was never issued. */
const MIN_SERVED_BY_TRANSPORT_ALONE = 1_000;

/** The session managers of a transport, which note in which sessions it serves. */
class Record {
	readonly sessions = new Set<string>();

	get manager(): { streams: StreamSessionManager; info: InfoSessionManager } {
		const note = (id: string) => void this.sessions.add(id);
		const unknown = async (id: string): Promise<never> => {
			note(id);
			throw new Error('nothing is known');
		};
		return {
			streams: {
				create: note,
				delete: async (id) => note(id),
				has: async (id) => {
					note(id);
					return false;
				},
				send() {},
			},
			info: {
				getClientInfo: unknown,
				setClientInfo: note,
				getClientCapabilities: unknown,
				setClientCapabilities: note,
				getLogLevel: unknown,
				setLogLevel: note,
				getSubscriptions: async () => [],
				addSubscription: note,
				removeSubscription: note,
				delete: note,
			},
		};
	}
}

function makeTransport(record: Record) {
	const server = new McpServer(
		{ name: 'test', version: '1.0.0', description: 'test' },
		{ adapter: undefined, capabilities: { tools: {} } },
	);
	server.tool({ name: 'look', description: 'looks' }, () => ({ content: [] }));
	return new HttpTransport(server, {
		path: '/mcp',
		sessionManager: record.manager,
		allowedOrigins: true,
	});
}

/** The namespace, which notes the sessions that it admitted. */
function noting(admitted: Set<string>): SyncLayerNamespace {
	return new Proxy(env.TMCP_DURABLE_OBJECT, {
		get(target, name) {
			if (name !== 'getByName') return Reflect.get(target, name);
			return (of: string) => {
				const stub = target.getByName(of);
				return new Proxy(stub, {
					get(_, method) {
						const admit = async (session: string, owner: string) => {
							const isAdmitted = await stub.admit(session, owner);
							if (isAdmitted) admitted.add(session);
							return isAdmitted;
						};
						if (method === 'admit') return admit;
						// Of a GET.
						if (method === 'admitWithInfo') {
							return async (session: string, owner: string) =>
								(await admit(session, owner)) ? { info: undefined } : undefined;
						}
						if (method !== 'relay') return Reflect.get(stub, method);
						// Of a DELETE; but the session goes on, for the requests that come after it.
						return async ({
							end: { session, owner } = { session: '', owner: '' },
						}: RelayInput) => ({
							homes: [],
							ended: await admit(session, owner),
						});
					},
				});
			};
		},
	});
}

const META = 'io.modelcontextprotocol/';

/** Requests as a client may send them, as it may not, and as nobody would. */
class Requests {
	#random: Random;
	#issued: string;

	constructor(random: Random, issued: string) {
		this.#random = random;
		this.#issued = issued;
	}

	next(): () => Request {
		const pick = <T>(...of: [T, ...T[]]): T => this.#random.pick(of);
		const method = pick(
			'GET',
			'POST',
			'POST',
			'POST',
			'POST',
			'DELETE',
			'OPTIONS',
			'PUT',
			'post',
			'get',
			'delete',
			'PATCH',
			'Post',
		);
		const path = pick(
			'/mcp',
			'/mcp',
			'/mcp',
			'/mcp',
			'/mcp?x=1',
			'/mcp#a',
			'/mcp/',
			'//mcp',
			'/MCP',
			'/./mcp',
			'/%6dcp',
			'/other',
			`/mcp?session_id=${this.#issued}`,
			'/mcp?session_id=',
		);
		const headers: [string, string][] = [
			...this.#session(),
			...this.#maybe(
				'content-type',
				'application/json',
				'application/json',
				'application/json',
				'application/json; charset=utf-8',
				'Application/JSON',
				'text/plain',
				'text/plain, application/json',
				'application/json-patch+json',
				'application/jsonp',
				'',
			),
			...this.#maybe('accept', 'application/json, text/event-stream', '*/*', 'text/html'),
			...this.#maybe(
				'mcp-protocol-version',
				'2025-06-18',
				'2025-06-18',
				'2024-11-05',
				'2026-07-28',
				' 2026-07-28 ',
				'2026-07-28, 2025-06-18',
				'DRAFT',
				'',
			),
			...this.#maybe('mcp-method', 'tools/call', 'subscriptions/listen', 'initialize'),
			...this.#maybe('x-user', 'alice', 'alice', 'mallory'),
			...this.#maybe('origin', 'https://example.com', 'https://evil.example', 'null'),
			...this.#maybe('last-event-id', '0.abc.1', ''),
		];
		const body = method.toUpperCase() === 'POST' || method === 'PUT' ? this.#body() : undefined;
		return () =>
			new Request(`https://example.com${path}`, {
				method,
				headers,
				...(body !== undefined && { body }),
			});
	}

	#maybe(name: string, ...values: [string, ...string[]]): [string, string][] {
		const cased = this.#random.pick([
			name,
			name.toUpperCase(),
			name.replace(/^./, (c) => c.toUpperCase()),
		]);
		const value = this.#random.pick([undefined, ...values]);
		if (value === undefined) return [];
		const twice = this.#random.below(20) === 0;
		return twice
			? [
					[cased, value],
					[name, this.#random.pick(values)],
				]
			: [[cased, value]];
	}

	#session(): [string, string][] {
		const issued = this.#issued;
		const forged = crypto.randomUUID();
		return this.#maybe(
			'mcp-session-id',
			issued,
			issued,
			issued,
			forged,
			forged,
			issued.toUpperCase(),
			`${issued} `,
			`${issued},`,
			`${issued}, ${forged}`,
			'x',
			'',
		);
	}

	#body(): string {
		const pick = <T>(...of: [T, ...T[]]): T => this.#random.pick(of);
		const meta = pick<unknown>(
			undefined,
			undefined,
			undefined,
			null,
			[],
			'x',
			{ progressToken: 1 },
			{ [`${META}protocolVersion`]: '2026-07-28' },
			{ [`${META}logLevel`]: undefined, [`${META}clientInfo`]: null },
			[`${META}logLevel`],
			{ nested: { [`${META}clientInfo`]: {} } },
			{ [`${META}clientinfo`]: {} },
		);
		const params = pick<unknown>(
			{ name: 'look', arguments: {}, _meta: meta },
			{ _meta: meta },
			{
				protocolVersion: '2025-06-18',
				capabilities: {},
				clientInfo: { name: 'x', version: '1' },
				_meta: meta,
			},
			null,
			[],
			[{ _meta: meta }],
			undefined,
		);
		const id = pick<unknown>(1, 'one', 0, null, undefined, 1.5, {}, true);
		const message = pick<unknown>(
			{ jsonrpc: '2.0', id, method: 'initialize', params },
			{ jsonrpc: '2.0', id, method: 'initialize', params },
			{ jsonrpc: '2.0', id, method: 'tools/call', params },
			{ jsonrpc: '2.0', id, method: 'ping' },
			{ jsonrpc: '2.0', method: 'notifications/initialized' },
			{ jsonrpc: '2.0', id, result: {} },
			{ jsonrpc: '2.0', id, error: { code: 1, message: 'x' } },
			{ jsonrpc: '1.0', id, method: 'ping' },
			{ id, method: 'Initialize' },
			[{ jsonrpc: '2.0', id, method: 'initialize', params }],
			[
				{ jsonrpc: '2.0', id, method: 'initialize', params },
				{ jsonrpc: '2.0', id, method: 'tools/call', params },
			],
			[],
			'initialize',
			null,
			7,
		);
		const json = JSON.stringify(message) ?? '';
		return pick(
			json,
			json,
			json,
			json,
			`\uFEFF${json}`,
			` \n${json}\n`,
			json.slice(0, -1),
			'',
			// The last of two keys counts; a reader that takes the first is deceived.
			json.replace(/^\{/, '{"method":"initialize",'),
			json.replace(/\}$/, ',"method":"ping"}'),
			json.replace(/\}$/, `,"params":{"_meta":{"${META}protocolVersion":"2026-07-28"}}}`),
			json.replace('"method"', String.raw`"\u006dethod"`),
			json.replace(/^\{/, `{"__proto__":{"params":{"_meta":{"${META}clientInfo":{}}}},`),
			json.replace('"_meta"', '"_meta":{},"_meta"'),
		);
	}
}

/** tmcp throws at some of what is asked, and the gateway at a transport that serves elsewhere: then nothing was served. */
async function finish(responding: Promise<Response | null>): Promise<Response | null> {
	const response = await responding.catch(() => null);
	await response?.body?.cancel().catch(() => {});
	return response;
}

it(
	'the transport serves nothing in a session that the gateway has not admitted or begun, whatever is asked',
	async () => {
		const { seed } = inject('torture');
		const [alone, behind, admitted] = [new Record(), new Record(), new Set<string>()];
		const transport = makeTransport(alone);
		const gateway = new SessionGateway(makeTransport(behind), noting(admitted), {
			owner: ({ headers }) => headers.get('x-user') ?? undefined,
		});
		const initialize = {
			protocolVersion: '2025-06-18',
			capabilities: {},
			clientInfo: { name: 'x', version: '1' },
		};
		const begun = await gateway.respond(
			new Request('https://example.com/mcp', {
				method: 'POST',
				headers: { 'content-type': 'application/json', 'x-user': 'alice' },
				body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: initialize }),
			}),
		);
		const issued = begun?.headers.get('mcp-session-id') ?? '';
		expect(issued).not.toBe('');
		const requests = new Requests(new Random(seed), issued);
		const served = { alone: 0, behind: 0, inIssued: 0 };
		for (let count = 0; count < REQUESTS; count++) {
			const make = requests.next();
			for (const sessions of [alone.sessions, behind.sessions, admitted]) sessions.clear();
			await finish(transport.respond(make()));
			const response = await finish(gateway.respond(make()));
			if ([...alone.sessions].some((session) => session !== issued)) served.alone++;
			if (behind.sessions.size > 0) served.behind++;
			if (behind.sessions.has(issued)) served.inIssued++;
			const isNew = response?.headers.get('mcp-session-id') ?? undefined;
			for (const session of behind.sessions) {
				if (admitted.has(session) || session === isNew) continue;
				const { method, url, headers } = make();
				const body = await make().text();
				const shown = JSON.stringify({ seed, count, method, url, headers: [...headers], body });
				throw new Error(`The transport served a session that was not admitted: ${shown}`);
			}
		}
		expect(served.alone).toBeGreaterThan(MIN_SERVED_BY_TRANSPORT_ALONE);
		expect(served.inIssued).toBeGreaterThan(100);
	},
	LIMIT_MS,
);
