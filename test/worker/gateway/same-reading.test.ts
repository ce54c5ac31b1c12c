/** A gateway and a bare transport get the same requests, and it is noted at the servers in which sessions they are served. */
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { InMemoryInfoSessionManager, InMemoryStreamSessionManager } from '@tmcp/session-manager';
import { HttpTransport, type HttpTransportOptions } from '@tmcp/transport-http';
import { env } from 'cloudflare:workers';
import { AsyncLocalStorage } from 'node:async_hooks';
import { McpServer } from 'tmcp';
import { beforeEach, expect, inject, it, vi } from 'vitest';
import type { SyncLayerNamespace } from '../../../src/advanced.ts';
import {
	DurableObjectSessions,
	type SessionGateway,
	type SessionHomes,
} from '../../../src/index.ts';
import { isSessionId } from '../../../src/wire/arguments.ts';
import { readSessionId } from '../../../src/wire/session-id.ts';
import { parseJson } from '../../../src/worker/content.ts';
import { Random } from '../../torture/random.ts';
import { INITIALIZE } from './client.ts';
import { type OddRequest, OddRequests } from './odd-requests.ts';

const REQUESTS = 10_000;
const LIMIT_MS = 120_000;

/** How many requests a mutant gets at a time, and at most. */
const PORTION = 250;
const MOST = 4_000;

/** How many requests a failure shows. */
const SHOWN = 5;

/** What became of one request at one door. */
interface Outcome {
	/** The sessions that the transport gave to its managers, to the server or to a tool. */
	served: Set<string>;
	/** The sessions that the object admitted or began. */
	admitted: Set<string>;
	/** The messages that the server got. */
	received: unknown[];
	/** The whole response, unless it stays open. */
	text: string;
	/** Where there was no answer at all. */
	error: unknown;
}

/** The outcome that the running work belongs to, also where it goes on after the response. */
const running = new AsyncLocalStorage<Outcome>();

/** A session manager's methods begin with a session's id, but for these. */
const OF_NO_SESSION = new Set<string | symbol>(['send', 'getSubscriptions']);

/** The same object, whose methods tell of their calls. */
function noting<Target extends object>(
	target: Target,
	note: (name: string | symbol, args: unknown[], result: unknown) => void,
): Target {
	return new Proxy(target, {
		get(_, name) {
			const method: unknown = Reflect.get(target, name);
			if (typeof method !== 'function') return method;
			return (...args: unknown[]) => {
				const result: unknown = Reflect.apply(method, target, args);
				note(name, args, result);
				return result;
			};
		},
	});
}

function notingSessions<Manager extends object>(manager: Manager): Manager {
	return noting(manager, (name, [session]) => {
		if (!OF_NO_SESSION.has(name)) running.getStore()?.served.add(String(session));
	});
}

/** The session that a call of the object begins or lets in, if any. */
function letIn(name: string | symbol, [first]: unknown[], result: unknown): unknown {
	switch (name) {
		case 'begin':
			return first;
		case 'admit':
			return result === true ? first : undefined;
		case 'admitWithInfo':
			return result === undefined ? undefined : first;
		// What admits a DELETE ends the session.
		case 'relay':
			return Reflect.get(Object(result), 'ended') === true
				? Reflect.get(Object(Reflect.get(Object(first), 'end')), 'session')
				: undefined;
		default:
			return undefined;
	}
}

function notingObjects(namespace: SyncLayerNamespace): SyncLayerNamespace {
	const notingStub = (stub: ReturnType<SyncLayerNamespace['getByName']>) =>
		noting(stub, (name, args, result) => {
			const outcome = running.getStore();
			const note = (answered: unknown) => {
				const session = letIn(name, args, answered);
				if (session !== undefined) outcome?.admitted.add(String(session));
			};
			Promise.resolve(result).then(note, () => {});
		});
	return new Proxy(namespace, {
		get: (_, property) =>
			property === 'getByName'
				? (of: string) => notingStub(namespace.getByName(of))
				: Reflect.get(namespace, property),
	});
}

function makeTransport({ sessionManager, ...options }: HttpTransportOptions): HttpTransport {
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
	const receive = server.receive.bind(server);
	server.receive = (message, context) => {
		const outcome = running.getStore();
		outcome?.received.push(message);
		// One that is refused begins nothing, and what is accepted is told to the managers.
		const isInitialize = Reflect.get(Object(message), 'method') === 'initialize';
		if (!isInitialize && context?.sessionId !== undefined) outcome?.served.add(context.sessionId);
		return receive(message, context);
	};
	return new HttpTransport(server, {
		...options,
		path: '/mcp',
		allowedOrigins: ['https://good.example'],
		sessionManager: {
			...(sessionManager?.streams && { streams: notingSessions(sessionManager.streams) }),
			...(sessionManager?.info && { info: notingSessions(sessionManager.info) }),
		},
	});
}

type Door = Pick<SessionGateway, 'respond'>;

interface Doors {
	transport: Door;
	gateway: Door;
	/** Knows the signatures of its session ids. */
	homes: SessionHomes;
}

/** Who makes a request; `undefined` for nobody. */
const ownerOf = ({ headers }: Request) => headers.get('x-user') ?? undefined;

function behindGateway(): Doors {
	const binding = notingObjects(env.TMCP_DURABLE_OBJECT);
	const sessions = new DurableObjectSessions({ binding, owner: ownerOf });
	const transport = makeTransport(sessions.transport);
	return { transport, gateway: sessions.gateway(transport), homes: sessions.homes };
}

/** Let a door answer, and wait for all of what the response holds, unless it stays open. */
async function answer(door: Door, request: Request, staysOpen: boolean): Promise<Outcome> {
	const outcome: Outcome = {
		served: new Set(),
		admitted: new Set(),
		received: [],
		text: '',
		error: undefined,
	};
	await running.run(outcome, async () => {
		const response = await door.respond(request).catch((error: unknown) => {
			outcome.error = error;
		});
		// The transport breaks a stream off where tmcp cannot make anything of a message.
		if (staysOpen) await response?.body?.cancel().catch(() => {});
		else outcome.text = (await response?.text().catch(() => '')) ?? '';
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
		if (user !== 'alice') return;
		const [home = '', time = '', random = '', signature = ''] = id.split('.');
		// Only their signatures are wrong.
		for (const [name, made] of [
			['forged', `${home}.${time}.${random}.${random}`],
			['moved', `${Number(home) + 1}.${time}.${random}.${signature}`],
		] as const) {
			if (!readSessionId(made)) throw new Error(`{${name}} is no session id in form`);
			this.#ids.set(name, made);
		}
		this.#ids.set('never', '00000000-0000-4000-8000-000000000000');
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
			const id = this.#ids.get(name.toLowerCase()) ?? whole;
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

const has = (message: unknown, name: string) => Object.hasOwn(Object(message), name);

const isAnswer = (message: unknown) => has(message, 'result') || has(message, 'error');

/**
 * Where the gateway is stricter than the transport: it takes no session id in the query, and what is a request and an answer
 * at once is an answer to it, and reaches no tool.
 */
function isRefusedOnPurpose({ target, body }: OddRequest): boolean {
	const message: unknown = body && parseJson(new TextDecoder().decode(body));
	return (
		new URL(`https://example.com${target}`).searchParams.has('session_id') ||
		(has(message, 'method') && isAnswer(message))
	);
}

/** Whether an answer of the client reached the server as it was sent, where it could be taken for somebody else's. */
function hasHandedOn({ received }: Outcome): boolean {
	return received.some((message) => {
		const id: unknown = Reflect.get(Object(message), 'id');
		return isAnswer(message) && !has(message, 'method') && SENT_IDS.has(id);
	});
}

/** The ids in the requests. The gateway puts one of its own in the place of that of an answer. */
const SENT_IDS = new Set<unknown>([1, 'one', '', 0, -1, 1.5, 1e300, '{alice}']);

const isInitialized = ({ received, text }: Outcome) =>
	text.includes('"result"') &&
	received.some((message) => Reflect.get(Object(message), 'method') === 'initialize');

/** How a request that shows a difference can be made again. */
function describeRequest(seed: number, at: number, { body, ...rest }: OddRequest): string {
	return JSON.stringify({ seed, at, ...rest, body: body && new TextDecoder().decode(body) });
}

/** Sends the same requests to both doors, and compares in which sessions they were served. */
class Comparison {
	readonly counts = { served: 0, begun: 0, refused: 0, answers: 0 };
	/** Served in a session that the gateway did not admit, or that is not its sender's; or answered for another. */
	readonly notAdmitted: string[] = [];
	/** Served by the transport in a session of the sender's, and not behind the gateway. */
	readonly notAsTransport: string[] = [];
	readonly failed: string[] = [];
	#door: Door;
	#bare = makeTransport({
		sessionManager: {
			streams: new InMemoryStreamSessionManager(),
			info: new InMemoryInfoSessionManager(),
		},
	});
	#sessions: Sessions;
	#odd: OddRequests;
	#seed: number;
	#at = 0;

	private constructor(door: Door, sessions: Sessions, seed: number) {
		this.#door = door;
		this.#sessions = sessions;
		this.#odd = new OddRequests(new Random(seed));
		this.#seed = seed;
	}

	/** @param front stands in front of the transport behind the gateway */
	static async of(
		seed: number,
		front: (doors: Doors) => Door = ({ gateway }) => gateway,
	): Promise<Comparison> {
		const doors = behindGateway();
		const sessions = new Sessions(doors.gateway);
		for (const user of ['alice', 'bob', 'anybody', 'ended']) await sessions.begin(user);
		return new Comparison(front(doors), sessions, seed);
	}

	async run(requests: number): Promise<void> {
		const noted: { of: OddRequest; owner: string | undefined; here: Outcome; there: Outcome }[] =
			[];
		const from = this.#at;
		for (; this.#at < from + requests; this.#at++) {
			const of = this.#odd.next();
			const request = toRequest(of, this.#sessions);
			const { method } = request;
			const owner = ownerOf(request);
			const text = of.body ? new TextDecoder().decode(of.body) : '';
			const staysOpen = method === 'GET' || text.includes('subscriptions/listen');
			const [here, there] = await Promise.all([
				answer(this.#door, request, staysOpen),
				answer(this.#bare, toRequest(of, this.#sessions), staysOpen),
			]);
			noted.push({ of, owner, here, there });
			for (const session of here.admitted) {
				if (this.#sessions.lives.has(session)) continue;
				this.#sessions.lives.set(session, { owner, until: Infinity });
			}
			if (method !== 'DELETE') continue;
			for (const session of here.served) await this.#sessions.renew(session, this.#at);
		}
		// Only now, because a message without an id is served after its response.
		for (const [index, { of, owner, here, there }] of noted.entries()) {
			this.#compare(from + index, of, owner, here, there);
		}
	}

	#compare(
		at: number,
		of: OddRequest,
		owner: string | undefined,
		here: Outcome,
		there: Outcome,
	): void {
		const shown = () => describeRequest(this.#seed, at, of);
		const isOwned = (session: string) => this.#sessions.isOwned(session, owner, at);
		const isForeign = (session: string) => !here.admitted.has(session) || !isOwned(session);
		if ([...here.served].some(isForeign) || hasHandedOn(here)) this.notAdmitted.push(shown());
		const owned = [...there.served].filter(isOwned);
		const isMissing =
			owned.some((session) => !here.served.has(session)) ||
			(isInitialized(there) && !isInitialized(here));
		if (isMissing && !isRefusedOnPurpose(of)) this.notAsTransport.push(shown());
		if (here.error !== undefined) this.failed.push(`${shown()} ${here.error}`);
		if (hasHandedOn(there)) this.counts.answers++;
		if (owned.length > 0) this.counts.served++;
		else if (here.served.size > 0) this.counts.begun++;
		else if (there.served.size > 0) this.counts.refused++;
	}
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
		const comparison = await Comparison.of(inject('torture').seed);
		await comparison.run(REQUESTS);
		const { counts, notAdmitted, notAsTransport, failed } = comparison;
		expect(notAdmitted.slice(0, SHOWN)).toEqual([]);
		// What the transport serves in a session of the sender’s, the gateway lets through.
		expect(notAsTransport.slice(0, SHOWN)).toEqual([]);
		expect(failed.slice(0, SHOWN)).toEqual([]);
		// Each kind is there often enough to say something.
		expect(counts.served).toBeGreaterThan(REQUESTS / 20);
		expect(counts.begun).toBeGreaterThan(REQUESTS / 200);
		expect(counts.answers).toBeGreaterThan(REQUESTS / 200);
		// The transport alone serves these, in sessions of others or of nobody.
		expect(counts.refused).toBeGreaterThan(REQUESTS / 10);
	},
	LIMIT_MS,
);

/** A gateway that lets the transport serve some of what it should look at. */
function careless(
	isLetIn: (request: Request, text: string, homes: SessionHomes) => boolean | Promise<boolean>,
) {
	return ({ transport, gateway, homes }: Doors): Door => ({
		async respond(request) {
			const text = new TextDecoder().decode(await request.clone().arrayBuffer());
			const door = (await isLetIn(request, text, homes)) ? transport : gateway;
			return door.respond(request);
		},
	});
}

const sessionOf = ({ headers }: Request) => headers.get('mcp-session-id') ?? '';

it.each([
	['takes any session', careless((request) => isSessionId(sessionOf(request)))],
	[
		'does not look at the signature',
		careless(async (request, _, homes) => {
			const session = sessionOf(request);
			return readSessionId(session) !== undefined && !(await homes.isMinted(session));
		}),
	],
	['takes the first of two session ids', careless((request) => /^\S+, /.test(sessionOf(request)))],
	[
		'searches the text of a message for what it should find in its `_meta`',
		careless((_, text) => text.includes('io.modelcontextprotocol/clientInfo')),
	],
	['lets an answer through', careless((_, text) => text.includes('"error"'))],
])(
	'a gateway that %s is noticed',
	async (_, front) => {
		const comparison = await Comparison.of(inject('torture').seed, front);
		const { notAdmitted } = comparison;
		for (let done = 0; done < MOST && notAdmitted.length === 0; done += PORTION) {
			await comparison.run(PORTION);
		}
		expect(notAdmitted).not.toEqual([]);
	},
	LIMIT_MS,
);
