/** Requests as clients send them, as they should not, and as nobody would: the same ones for the same seed. */
import { Random } from '../../torture/random.ts';

/**
 * Text in braces stands for the id of a session: `{alice}` is one of hers, `{ALICE}` the same in capitals, `{ended}` one that
 * has ended, `{never}` none, `{forged}` hers with another signature, `{moved}` hers in another home.
 */
export interface OddRequest {
	method: string;
	/** Path and query. */
	target: string;
	headers: [name: string, value: string][];
	body: Uint8Array | undefined;
}

const META = 'io.modelcontextprotocol/';
const PER_REQUEST_META = {
	[`${META}protocolVersion`]: '2026-07-28',
	[`${META}clientInfo`]: { name: 'odd', version: '1' },
	[`${META}clientCapabilities`]: {},
};
const INITIALIZE_PARAMS = {
	protocolVersion: '2025-06-18',
	capabilities: {},
	clientInfo: { name: 'odd', version: '1' },
};

/** The first of each list is what a client sends that keeps to the protocol. It is taken half of the time. */
type Choices = readonly [string, ...string[]];

const METHODS: Choices = [
	'POST',
	'POST',
	'GET',
	'DELETE',
	'post',
	'Post',
	'get',
	'Get',
	'delete',
	'OPTIONS',
	'HEAD',
	'PUT',
	'PATCH',
	'patch',
];
const TARGETS: Choices = [
	'/mcp',
	'/mcp?',
	'/mcp?mcp-session-id={alice}',
	'/mcp?session_id={alice}',
	'/mcp?session_id=',
	'/mcp?x=1&session%5Fid={bob}',
	'/mcp?SESSION_ID={alice}',
	'/mcp#?session_id={alice}',
	'/mcp#x',
	'/mcp/',
	'//mcp',
	'/MCP',
	'/./mcp',
	'/a/../mcp',
	'/%6dcp',
	'/mcp%20',
	'/mcp;x',
	'/mcp%00',
	'/',
	'/other',
	'/mcp/../mcp',
	'\\mcp',
];
const SESSIONS: Choices = [
	'{alice}',
	'{alice}',
	'{bob}',
	'{bob}',
	'{anybody}',
	'{ended}',
	'{never}',
	'{forged}',
	'{moved}',
	' {alice} ',
	'{ALICE}',
	'{alice},',
	'{alice}, {alice}',
	'{never}, {alice}',
	'"{alice}"',
	'{alice};x',
	'{alice}{bob}',
	'',
	' ',
	'undefined',
	'null',
	'with a space',
	'x'.repeat(300),
];
const USERS: Choices = ['alice', 'bob', 'mallory', 'Alice', 'alice, bob'];
const CONTENT_TYPES: Choices = [
	'application/json',
	'application/json; charset=utf-8',
	'application/json;charset=utf-16le',
	'text/plain',
	'application/json; charset=latin1',
	'Application/JSON',
	'APPLICATION/JSON',
	'',
	'text/plain, application/json',
	'text/plain;x=application/json',
	'application/jsonp',
	'application/json-patch+json',
	'application/vnd.api+json',
	'application/x-www-form-urlencoded',
	'multipart/form-data; boundary=application/json',
];
const VERSIONS: Choices = [
	'2025-06-18',
	'2025-03-26',
	'2024-11-05',
	'2025-11-25',
	'2026-07-28',
	' 2026-07-28 ',
	'2026-07-28 x',
	'2026-07-28, 2026-07-28',
	'2026-07-28;q=1',
	'2026-07-2',
	'"2026-07-28"',
	'2099-01-01',
	'',
	'DRAFT-2026-v1',
	'20260728',
];
const ACCEPTS: Choices = [
	'application/json, text/event-stream',
	'application/json',
	'text/event-stream',
	'*/*',
	'text/html',
	'',
	'text/event-stream;q=0',
];
const ORIGINS: Choices = [
	'https://example.com',
	'https://good.example',
	'https://evil.example',
	'null',
	'',
];

const METADATA: readonly [unknown, ...unknown[]] = [
	undefined,
	null,
	[],
	'x',
	0,
	{},
	{ progressToken: 1 },
	PER_REQUEST_META,
	[PER_REQUEST_META],
	{ [`${META}protocolVersion`]: '2025-06-18' },
	{ [`${META}protocolVersion`]: null },
	{ [`${META}logLevel`]: 'debug' },
	{ [`${META}clientInfo`]: {} },
	{ [`${META}ClientInfo`]: {} },
	{ [`${META}other`]: {} },
	{ [META]: {} },
	{ [` ${META}clientInfo`]: {} },
	{ nested: PER_REQUEST_META },
	[`${META}clientInfo`],
];
const IDS: readonly [unknown, ...unknown[]] = [
	1,
	'one',
	'',
	0,
	-1,
	1.5,
	1e300,
	null,
	undefined,
	{},
	[1],
	true,
	'{alice}',
];

const UTF8 = new TextEncoder();
const BYTE_ORDER_MARK = '\uFEFF';

function utf16(text: string): Uint8Array {
	return new Uint8Array(Uint16Array.from(text, (char) => char.charCodeAt(0)).buffer);
}

export class OddRequests {
	#random: Random;

	constructor(random: Random) {
		this.#random = random;
	}

	next(): OddRequest {
		const method = this.#usually(METHODS);
		const hasBody = !/^(get|head)$/i.test(method) && this.#random.below(20) > 0;
		return {
			method,
			target: this.#mostly(TARGETS),
			headers: [
				...this.#header('mcp-session-id', this.#usually(SESSIONS), SESSIONS),
				...this.#header('x-user', this.#usually(USERS), USERS),
				...this.#header('content-type', this.#mostly(CONTENT_TYPES), CONTENT_TYPES),
				...this.#header('mcp-protocol-version', this.#usually(VERSIONS), VERSIONS),
				...this.#header('accept', this.#usually(ACCEPTS), ACCEPTS),
				...this.#seldom('origin', ORIGINS),
				...this.#seldom('mcp-method', ['tools/call', 'subscriptions/listen', 'initialize', 'ping']),
				...this.#seldom('mcp-name', ['look', 'other']),
				...this.#seldom('last-event-id', ['0.abc.1', '', '{alice}']),
				...this.#seldom('content-encoding', ['identity', 'gzip']),
			],
			body: hasBody ? this.#bytes(this.#text()) : undefined,
		};
	}

	#pick<T>(of: readonly [T, ...T[]]): T {
		return this.#random.pick(of);
	}

	#usually<T>(of: readonly [T, ...T[]]): T {
		return this.#random.below(2) === 0 ? of[0] : this.#pick(of);
	}

	#mostly<T>(of: readonly [T, ...T[]]): T {
		return this.#random.below(5) > 0 ? of[0] : this.#pick(of);
	}

	/** In one case or another; missing, or there twice, now and then. */
	#header(name: string, value: string, others: Choices): [string, string][] {
		const cased = this.#pick([
			name,
			name.toUpperCase(),
			name.replace(/^./, (c) => c.toUpperCase()),
		]);
		switch (this.#random.below(20)) {
			case 0:
				return [];
			case 1:
				return [
					[cased, value],
					[name, this.#pick(others)],
				];
			default:
				return [[cased, value]];
		}
	}

	#seldom(name: string, of: Choices): [string, string][] {
		return this.#random.below(5) === 0 ? this.#header(name, this.#pick(of), of) : [];
	}

	#message(): unknown {
		const id = this.#mostly(IDS);
		const metadata = this.#usually(METADATA);
		const call = {
			jsonrpc: '2.0',
			id,
			method: 'tools/call',
			params: { name: 'look', _meta: metadata },
		};
		const initialize = { jsonrpc: '2.0', id, method: 'initialize', params: INITIALIZE_PARAMS };
		const of = (method: string, params?: unknown) => ({ jsonrpc: '2.0', id, method, params });
		return this.#pick<unknown>([
			call,
			call,
			call,
			call,
			initialize,
			initialize,
			{ ...initialize, params: { ...INITIALIZE_PARAMS, _meta: metadata } },
			{ ...initialize, params: { protocolVersion: 7 } },
			{ ...initialize, method: this.#pick(['Initialize', 'initialize ', 'initialized', '']) },
			{ ...initialize, jsonrpc: this.#pick<unknown>(['1.0', 2, undefined]) },
			{ ...initialize, id: undefined },
			{ ...initialize, result: {} },
			{ ...call, method: this.#pick<unknown>([7, null, ['initialize'], undefined]) },
			{ ...call, error: { code: 1, message: '' } },
			{ ...call, result: {}, error: {} },
			of('ping'),
			of(
				'ping',
				this.#pick<unknown>([null, [], 'x', [{ _meta: metadata }], { _meta: metadata }, metadata]),
			),
			of('tools/list', { _meta: metadata }),
			of('logging/setLevel', { level: 'debug', _meta: metadata }),
			of('resources/subscribe', { uri: 'memo://board', _meta: metadata }),
			of('subscriptions/listen', { notifications: { toolsListChanged: true }, _meta: metadata }),
			of('server/discover', { _meta: metadata }),
			{ jsonrpc: '2.0', method: 'notifications/initialized', params: { _meta: metadata } },
			{ jsonrpc: '2.0', id, result: { _meta: metadata } },
			{ jsonrpc: '2.0', id, error: { code: 1, message: 'no' } },
			{ _meta: metadata, ...call, params: { name: 'look' } },
			[],
			[call],
			[initialize],
			[initialize, call],
			[[initialize]],
			[{ ...call, params: { _meta: PER_REQUEST_META } }],
			{ 0: initialize, length: 1 },
			null,
			true,
			7,
			'initialize',
			JSON.stringify(initialize),
		]);
	}

	/** Two readers may differ on which of two keys counts, on what a key is, and on where a text ends. */
	#text(): string {
		const json = JSON.stringify(this.#message());
		if (this.#random.below(2) === 0) return json;
		const perRequest = JSON.stringify(PER_REQUEST_META);
		const key = this.#pick(['method', 'params', 'id', 'result', 'jsonrpc', '_meta']);
		const value = this.#pick([
			'"initialize"',
			'"tools/call"',
			'"ping"',
			'null',
			'{}',
			'1',
			'"2.0"',
			perRequest,
			`{"_meta":${perRequest}}`,
			'{"name":"look"}',
		]);
		return this.#pick([
			json.replace(/^\{/, `{"${key}":${value},`),
			json.replace(/\}$/, `,"${key}":${value}}`),
			json.replace('"_meta":', `"_meta":${value},"_meta":`),
			json.replace(/"_meta":.*?\}/, (meta) => `${meta},"_meta":${value}`),
			json.replace(/"(method|params|_meta|result)"/, (name) => escaped(name)),
			json.replace(META, escaped(META)),
			json.replace(META, META.toUpperCase()),
			json.replace(/^\{/, `{"__proto__":{"params":{"_meta":${perRequest}}},`),
			json.replace(/^\{/, `{"__proto__":{"method":"initialize","result":{}},`),
			json.replace('"params":{', `"params":{"__proto__":{"_meta":${perRequest}},`),
			json.replace('"_meta":{', `"_meta":{"__proto__":${perRequest},`),
			json.replace('"_meta":{', `"_meta":{"constructor":1,"prototype":${perRequest},`),
			` \t\r\n${json}\n`,
			`\u00A0${json}`,
			`${json}\0`,
			`${json}${json}`,
			`${json}\n${json}`,
			`// ${json}\n${json}`,
			json.slice(0, this.#random.below(json.length + 1)),
			json.replaceAll('"', "'"),
			json.replace(/\}$/, ',}'),
			json.replace('"look"', '"look\\ud800"'),
			'['.repeat(2_000) + json + ']'.repeat(2_000),
			`${'{"params":'.repeat(500)}${json}${'}'.repeat(500)}`,
			'',
			' ',
			'{',
			'[]',
			'{}',
			'undefined',
			'NaN',
		]);
	}

	#bytes(text: string): Uint8Array {
		const plain = UTF8.encode(text);
		if (this.#random.below(5) > 0) return plain;
		const at = this.#random.below(plain.length + 1);
		return this.#pick([
			UTF8.encode(BYTE_ORDER_MARK + text),
			UTF8.encode(BYTE_ORDER_MARK + BYTE_ORDER_MARK + text),
			UTF8.encode(text + BYTE_ORDER_MARK),
			utf16(text),
			utf16(BYTE_ORDER_MARK + text),
			// No UTF-8.
			Uint8Array.from([...plain.slice(0, at), 0xff, ...plain.slice(at)]),
			// An overlong quotation mark.
			Uint8Array.from([...plain.slice(0, at), 0xc0, 0xa2, ...plain.slice(at)]),
		]);
	}
}

/** The same text in JSON, with each of its letters escaped. */
function escaped(text: string): string {
	return text.replace(
		/[a-z]/gi,
		(char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
	);
}
