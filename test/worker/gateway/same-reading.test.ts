/** A gateway and a bare transport get the same requests, and it is noted at the transports in which sessions they serve. */
import { HttpTransport } from '@tmcp/transport-http';
import {
	InMemoryInfoSessionManager,
	InMemoryStreamSessionManager,
	type StreamSessionManager,
} from '@tmcp/session-manager';
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { env } from 'cloudflare:workers';
import { AsyncLocalStorage } from 'node:async_hooks';
import { McpServer } from 'tmcp';
import { beforeEach, expect, inject, it, vi } from 'vitest';
import type { SyncLayerNamespace } from '../../../src/advanced.ts';
import { DurableObjectStreamSessionManager, SessionGateway } from '../../../src/index.ts';
import { parseJson } from '../../../src/worker/content.ts';
import { isSessionId } from '../../../src/wire/arguments.ts';
import { Random } from '../../torture/random.ts';
import { INITIALIZE } from './client.ts';
import { type OddRequest, OddRequests } from './odd-requests.ts';

const REQUESTS = 10_000;
const LIMIT_MS = 120_000;

/** How many requests a failure shows. */
const SHOWN = 5;

/** What became of one request at one door. */
interface Outcome {
	/** The sessions that the transport gave to its managers or to a tool. */
	served: Set<string>;
	/** The sessions that the object admitted or began. */
	admitted: Set<string>;
	/** Where there was no answer at all. */
	error: unknown;
}

/** The outcome that the running work belongs to, also where it goes on after the response. */
const running = new AsyncLocalStorage<Outcome>();

/** A session manager's methods begin with a session's id, but for these. */
const OF_NO_SESSION = new Set<string | symbol>(['send', 'getSubscriptions']);

function notingSessions<Manager extends object>(manager: Manager): Manager {
	return new Proxy(manager, {
		get(_, name) {
			const method: unknown = Reflect.get(manager, name);
			if (typeof method !== 'function') return method;
			return (...args: unknown[]) => {
				if (!OF_NO_SESSION.has(name)) running.getStore()?.served.add(String(args[0]));
				return Reflect.apply(method, manager, args);
			};
		},
	});
}

function notingObjects(namespace: SyncLayerNamespace): SyncLayerNamespace {
	const noting = <Stub extends object>(stub: Stub) =>
		new Proxy(stub, {
			get(_, name) {
				const method: unknown = Reflect.get(stub, name);
				if (typeof method !== 'function') return method;
				return async (...args: unknown[]) => {
					const result: unknown = await Reflect.apply(method, stub, args);
					const isIn = name === 'begin' || (name === 'admit' && result === true);
					if (isIn) running.getStore()?.admitted.add(String(args[0]));
					return result;
				};
			},
		});
	return new Proxy(namespace, {
		get: (_, property) =>
			property === 'getByName'
				? (of: string) => noting(namespace.getByName(of))
				: Reflect.get(namespace, property),
	});
}

function makeTransport(streams: StreamSessionManager): HttpTransport {
	const server = new McpServer(
		{ name: 'test', version: '1.0.0', description: 'test' },
		{
			adapter: new ValibotJsonSchemaAdapter(),
			capabilities: { tools: { listChanged: true }, logging: {}, resources: { subscribe: true } },
		},
	);
	server.tool({ name: 'look', description: 'notes who calls it' }, () => {
		const { sessionId } = server.ctx;
		if (sessionId !== undefined) running.getStore()?.served.add(sessionId);
		return { content: [] };
	});
	return new HttpTransport(server, {
		path: '/mcp',
		allowedOrigins: ['https://good.example'],
		sessionManager: {
			streams: notingSessions(streams),
			info: notingSessions(new InMemoryInfoSessionManager()),
		},
	});
}

type Door = Pick<SessionGateway, 'respond'>;

/** Who makes a request; `undefined` for nobody. */
const ownerOf = ({ headers }: Request) => headers.get('x-user') ?? undefined;

function behindGateway(): { transport: Door; gateway: Door } {
	const transport = makeTransport(new DurableObjectStreamSessionManager());
	const objects = notingObjects(env.TMCP_DURABLE_OBJECT);
	return { transport, gateway: new SessionGateway(transport, objects, { owner: ownerOf }) };
}

/** Let a door answer, and wait for all of what the response holds, unless it stays open. */
async function answer(door: Door, request: Request, staysOpen: boolean): Promise<Outcome> {
	const outcome: Outcome = { served: new Set(), admitted: new Set(), error: undefined };
	await running.run(outcome, async () => {
		const response = await door.respond(request).catch((error: unknown) => {
			outcome.error = error;
		});
		const read = staysOpen ? response?.body?.cancel() : response?.text();
		// The transport breaks a stream off where tmcp cannot make anything of a message.
		await read?.catch(() => {});
	});
	return outcome;
}

/** The sessions of each user that are alive, so that a request can name them. */
class Sessions {
	#door: Door;
	#ids = new Map<string, string>();
	/** Whose each one is, as this file knows it, and the last request before its end. */
	readonly lives = new Map<string, { owner: string | undefined; until: number }>();

	constructor(door: Door) {
		this.#door = door;
	}

	async begin(user: string): Promise<void> {
		const request = new Request('https://example.com/mcp', {
			method: 'POST',
			headers: {
				'content-type': 'application/json',
				...(user !== 'anybody' && { 'x-user': user }),
			},
			body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE }),
		});
		const response = await this.#door.respond(request);
		await response?.text();
		const id = response?.headers.get('mcp-session-id');
		if (!id) throw new Error(`initialize was answered ${response?.status}`);
		this.#ids.set(user, id);
		this.lives.set(id, { owner: ownerOf(request), until: Infinity });
	}

	/** Another one takes the place of one that was ended by this request. */
	async renew(ended: string, at: number): Promise<void> {
		const life = this.lives.get(ended);
		if (life) life.until = at;
		const [user] = [...this.#ids].find(([, id]) => id === ended) ?? [];
		if (user === undefined) return;
		await this.begin(user);
		this.#ids.set('ended', ended);
	}

	isOwned(session: string, owner: string | undefined, at: number): boolean {
		const life = this.lives.get(session);
		return life !== undefined && life.owner === owner && at <= life.until;
	}

	/** The text with the ids in the place of the names. */
	fill(text: string): string {
		return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
			const id = this.#ids.get(name.toLowerCase());
			if (id === undefined)
				return name === 'never' ? '00000000-0000-4000-8000-000000000000' : whole;
			return name === name.toLowerCase() ? id : id.toUpperCase();
		});
	}
}

function toRequest({ method, target, headers, body }: OddRequest, sessions: Sessions): Request {
	const sent = new Headers();
	for (const [name, value] of headers) sent.append(name, sessions.fill(value));
	const url = `https://example.com${sessions.fill(target)}`;
	return new Request(url, { method, headers: sent, ...(body && { body }) });
}

/** What is a request and an answer at once is an answer to the gateway, and reaches no tool. The transport serves some. */
function isRequestAndAnswer({ body }: OddRequest): boolean {
	const message: unknown = body && parseJson(new TextDecoder().decode(body));
	const has = (name: string) => Object.hasOwn(Object(message), name);
	return has('method') && (has('result') || has('error'));
}

/** How a request that shows a difference can be made again. */
function describeRequest(seed: number, at: number, { body, ...rest }: OddRequest): string {
	return JSON.stringify({ seed, at, ...rest, body: body && new TextDecoder().decode(body) });
}

interface Drive {
	/** Stands in front of the transport behind the gateway. */
	front?: (doors: { transport: Door; gateway: Door }) => Door;
	requests: number;
	seed: number;
}

/** Send the same requests to both doors, and compare in which sessions they were served. */
async function drive({ front = ({ gateway }) => gateway, requests, seed }: Drive) {
	const doors = behindGateway();
	const door = front(doors);
	const bare = makeTransport(new InMemoryStreamSessionManager());
	const sessions = new Sessions(doors.gateway);
	for (const user of ['alice', 'bob', 'anybody', 'ended']) await sessions.begin(user);
	const odd = new OddRequests(new Random(seed));
	const noted: { of: OddRequest; owner: string | undefined; here: Outcome; there: Outcome }[] = [];

	for (let at = 0; at < requests; at++) {
		const of = odd.next();
		const request = toRequest(of, sessions);
		const owner = ownerOf(request);
		const text = of.body ? new TextDecoder().decode(of.body) : '';
		const staysOpen = request.method === 'GET' || text.includes('subscriptions/listen');
		const here = await answer(door, request, staysOpen);
		const there = await answer(bare, toRequest(of, sessions), staysOpen);
		noted.push({ of, owner, here, there });
		for (const session of here.admitted) {
			if (!sessions.lives.has(session)) sessions.lives.set(session, { owner, until: Infinity });
		}
		if (request.method === 'DELETE') {
			for (const session of here.served) await sessions.renew(session, at);
		}
	}

	// Only now, because a message without an id is served after its response.
	const counts = { served: 0, begun: 0, refused: 0 };
	const notAdmitted: string[] = [];
	const notAsTransport: string[] = [];
	const failed: string[] = [];
	for (const [at, { of, owner, here, there }] of noted.entries()) {
		const isOwned = (session: string) => sessions.isOwned(session, owner, at);
		if ([...here.served].some((session) => !here.admitted.has(session) || !isOwned(session))) {
			notAdmitted.push(describeRequest(seed, at, of));
		}
		const owned = [...there.served].filter(isOwned);
		if (owned.some((session) => !here.served.has(session)) && !isRequestAndAnswer(of)) {
			notAsTransport.push(describeRequest(seed, at, of));
		}
		if (here.error !== undefined) failed.push(`${describeRequest(seed, at, of)} ${here.error}`);
		if (owned.length > 0) counts.served++;
		else if (here.served.size > 0) counts.begun++;
		else if (there.served.size > 0) counts.refused++;
	}
	return { counts, notAdmitted, notAsTransport, failed };
}

beforeEach(() => {
	// tmcp tells of each message that it does not understand.
	const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
	const error = vi.spyOn(console, 'error').mockImplementation(() => {});
	return () => [warn, error].forEach((spy) => spy.mockRestore());
});

it(
	`of ${REQUESTS} requests none is served in a session that the gateway did not admit, or that is not its sender’s`,
	async () => {
		const { seed } = inject('torture');
		const { counts, notAdmitted, notAsTransport, failed } = await drive({
			requests: REQUESTS,
			seed,
		});
		expect(notAdmitted.slice(0, SHOWN)).toEqual([]);
		// What the transport serves in a session of the sender’s, the gateway lets through.
		expect(notAsTransport.slice(0, SHOWN)).toEqual([]);
		expect(failed.slice(0, SHOWN)).toEqual([]);
		// Each kind is there often enough to say something.
		expect(counts.served).toBeGreaterThan(REQUESTS / 20);
		expect(counts.begun).toBeGreaterThan(REQUESTS / 200);
		// The transport alone serves these, in sessions of others or of nobody.
		expect(counts.refused).toBeGreaterThan(REQUESTS / 10);
	},
	LIMIT_MS,
);

it.each([
	[
		'takes any session',
		({ transport, gateway }: { transport: Door; gateway: Door }): Door => ({
			respond: (request) =>
				isSessionId(request.headers.get('mcp-session-id') ?? '')
					? transport.respond(request)
					: gateway.respond(request),
		}),
	],
	[
		'searches the text of a message for what it should find in its `_meta`',
		({ transport, gateway }: { transport: Door; gateway: Door }): Door => ({
			async respond(request) {
				const text = new TextDecoder().decode(await request.clone().arrayBuffer());
				const door = text.includes('io.modelcontextprotocol/clientInfo') ? transport : gateway;
				return door.respond(request);
			},
		}),
	],
])(
	'a gateway that %s is noticed',
	async (_, front) => {
		const { notAdmitted } = await drive({ front, requests: 1_000, seed: inject('torture').seed });
		expect(notAdmitted).not.toEqual([]);
	},
	LIMIT_MS,
);
