import { env } from 'cloudflare:workers';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import { describe, expect, it, vi } from 'vitest';
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	SessionGateway,
	SessionHomes,
	type SessionHomesOptions,
} from '../../../src/index.ts';
import { base64url } from '../../../src/wire/session-id.ts';
import { codeOf } from '../../support/codes.ts';
import { listenRequest } from '../../support/listen-request.ts';
import { HomeCalls, ownHomes } from '../../support/objects.ts';
import { journal } from '../../support/worker/gateway.ts';
import { INITIALIZE, SessionClient } from './client.ts';

const SERVER = { name: 'test', version: '1.0.0', description: 'test' };
const random = () => base64url(crypto.getRandomValues(new Uint8Array(16)));

/** All of a response that a client can see. */
async function visible(response: Response) {
	return {
		status: response.status,
		headers: [...response.headers],
		body: await response.text(),
	};
}

/** Instances of a Worker: gateways over the same objects that share nothing else. */
function installation() {
	const prefix = crypto.randomUUID();
	const noted = new HomeCalls();
	const instance = (options?: SessionHomesOptions) => {
		const homes = new SessionHomes(ownHomes(env.TMCP_DURABLE_OBJECT, prefix, noted), options);
		const transport = new HttpTransport(
			new McpServer(SERVER, { adapter: undefined, capabilities: { tools: { listChanged: true } } }),
			{
				path: '/mcp',
				sessionManager: { streams: new DurableObjectStreamSessionManager(homes) },
				subscriptionManager: new DurableObjectSubscriptionManager(homes),
			},
		);
		return new SessionGateway(transport, homes);
	};
	return { noted, instance };
}

async function ask(
	gateway: SessionGateway,
	message: object,
	session?: string,
	cf?: Partial<IncomingRequestCfProperties>,
): Promise<Response> {
	const request = new Request('https://example.com/mcp', {
		method: 'POST',
		headers: {
			'content-type': 'application/json',
			accept: 'application/json, text/event-stream',
			...(session === undefined ? {} : { 'mcp-session-id': session }),
		},
		body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }),
		...(cf && { cf }),
	});
	return (await gateway.respond(request)) ?? new Response(null, { status: 599 });
}

async function begin(
	gateway: SessionGateway,
	cf?: Partial<IncomingRequestCfProperties>,
): Promise<string> {
	const response = await ask(gateway, { method: 'initialize', params: INITIALIZE }, undefined, cf);
	await response.text();
	return response.headers.get('mcp-session-id') ?? '';
}

const ping = async (gateway: SessionGateway, session: string) => {
	const { status, body } = await ask(gateway, { method: 'ping' }, session);
	await body?.cancel();
	return status;
};

describe('a session id that the gateway did not make', () => {
	const forgeries: [string, (id: string) => string][] = [
		['a UUID', () => crypto.randomUUID()],
		['one with a signature that was guessed', () => `0.tmo5q8.${random()}.${random()}`],
		['one of another random part', (id) => id.replace(/[\w-]{22}/, random)],
		['one of another time', (id) => id.replace(/\.\w/, '.z')],
		['one of another home', (id) => `1${id}`],
		[
			'one with another last character',
			(id) => id.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A')),
		],
		['one that is longer', (id) => `${id}A`],
		['no id at all', () => 'x y'],
	];

	it.each(forgeries)(
		'is refused without asking anybody, as one that has ended: %s',
		async (_, forge) => {
			const client = await SessionClient.begin('/gateway');
			await (await client.fetch('DELETE')).body?.cancel();
			const forger = client.with({ 'mcp-session-id': forge(client.sessionId) });
			for (const send of [
				(who: SessionClient) => who.post('ping'),
				(who: SessionClient) => who.fetch('GET'),
				(who: SessionClient) => who.fetch('DELETE'),
			]) {
				const ended = await visible(await send(client));
				const before = journal.length;
				expect(await visible(await send(forger))).toEqual(ended);
				expect(journal.slice(before)).toEqual([]);
				expect(ended.status).toBe(404);
			}
		},
	);

	it('is refused where it is another installation’s', async () => {
		const [ours, theirs] = [installation(), installation()];
		const [gateway, other] = [ours.instance(), theirs.instance()];
		const foreign = await begin(other);
		expect(await ping(gateway, await begin(gateway))).toBe(200);
		expect(await ours.noted.of(() => ping(gateway, foreign))).toEqual([]);
		expect(await ping(gateway, foreign)).toBe(404);
		expect(await ping(other, foreign)).toBe(200);
	});
});

describe('the key', () => {
	it('is the same for all instances, each of which asks for it once', async () => {
		const { noted, instance } = installation();
		const [one, other] = [instance(), instance()];
		const session = await begin(one);
		expect(await noted.of(() => ping(one, session))).toEqual(['0 admit']);
		expect(await noted.of(() => ping(other, session))).toEqual(['0 admit', '0 signingKey']);
		expect(await noted.of(() => ping(other, session))).toEqual(['0 admit']);
	});

	it('is asked for again after that has failed', async () => {
		const { noted, instance } = installation();
		const session = await begin(instance());
		const other = instance();
		noted.failing.set('0', 2);
		expect(await codeOf(() => ping(other, session))).toBe('OBJECT_FAILED');
		expect(await ping(other, session)).toBe(200);
	});

	it('is a secret of the Worker where that has one', async () => {
		const { noted, instance } = installation();
		const keyed = instance({ signingKey: 'SIGNING_KEY' });
		const session = await begin(keyed);
		expect(await ping(keyed, session)).toBe(200);
		expect(noted.calls).not.toContain('0 signingKey');
		expect(await ping(instance(), session)).toBe(404);
	});

	it.each([
		['is missing', 'NO_SUCH_KEY', 'BINDING_MISSING'],
		['is short', 'SHORT_KEY', 'BINDING_WRONG_KIND'],
		['is no text', 'TMCP_SESSION_INFO', 'BINDING_WRONG_KIND'],
	])('that %s is an error of the first request', async (_, signingKey, code) => {
		expect(await codeOf(() => begin(installation().instance({ signingKey })))).toBe(code);
	});
});

describe('a new session', () => {
	it('has any of the homes, and every instance finds it there', async () => {
		const { noted, instance } = installation();
		const [gateway, other] = [instance({ homes: 4 }), instance({ homes: 4 })];
		const sessions = await Promise.all(Array.from({ length: 40 }, () => begin(gateway)));
		expect(new Set(sessions.map((session) => session.split('.')[0]))).toEqual(
			new Set(['0', '1', '2', '3']),
		);
		await ping(other, sessions[0] ?? '');
		for (const session of sessions) {
			const calls = await noted.of(async () => expect(await ping(other, session)).toBe(200));
			expect(calls).toEqual([`${session.split('.')[0]} admit`]);
		}
	});

	it('has a home in the region of its first request', async () => {
		const { noted, instance } = installation();
		const gateway = instance({ homes: 2, placement: 'nearest' });
		const session = await begin(gateway, { continent: 'EU', country: 'FR', longitude: '2.35' });
		expect(session).toMatch(/^weur-[01]\./);
		expect(await ping(gateway, session)).toBe(200);
		expect(noted.placed.get(session.split('.')[0] ?? '')).toBe('weur');
		expect(await begin(gateway)).toMatch(/^[01]\./);
		// An instance without placement finds it all the same.
		expect(await ping(instance(), session)).toBe(200);
	});

	it('has its listen streams in the region of their request, too', async () => {
		const { noted, instance } = installation();
		const gateway = instance({ homes: 2, placement: 'nearest' });
		const request = listenRequest('https://example.com/mcp', { toolsListChanged: true });
		const cf = { continent: 'EU', country: 'FR', longitude: '2.35' };
		const response = await gateway.respond(new Request(request, { cf }));
		await vi.waitFor(() =>
			expect(noted.calls).toContainEqual(expect.stringMatching(/^weur-[01] subscribe$/)),
		);
		await response?.body?.cancel();
	});

	it('stays where it is when there are more homes, and when there are fewer', async () => {
		const { instance } = installation();
		const sessions: string[] = [];
		for (const homes of [1, 2, 5, 3, 1]) {
			const gateway = instance({ homes });
			for (let n = 0; n < 10; n++) sessions.push(await begin(gateway));
			for (const session of sessions) expect(await ping(gateway, session)).toBe(200);
		}
	});
});

describe('the ids of the transport’s own making', () => {
	/** Instances with any number of homes over the same objects. */
	function installationOfTransport() {
		const prefix = crypto.randomUUID();
		return (of: number) => {
			const homes = new SessionHomes(ownHomes(env.TMCP_DURABLE_OBJECT, prefix), { homes: of });
			const transport = new HttpTransport(
				new McpServer(SERVER, { adapter: undefined, capabilities: {} }),
				{ path: '/mcp', sessionManager: { streams: new DurableObjectStreamSessionManager(homes) } },
			);
			const gateway = new SessionGateway(transport, homes, { sessionIds: 'transport' });
			const placeOf = async (session: string) => (await homes.of(session)).label;
			return { gateway, placeOf };
		};
	}

	it('are served where that is wanted', async () => {
		const { gateway } = installationOfTransport()(4);
		const session = await begin(gateway);
		expect(session).toMatch(/^[\da-f-]{36}$/);
		expect(await ping(gateway, session)).toBe(200);
		expect(await ping(gateway, crypto.randomUUID())).toBe(404);
	});

	it('are unknown where one more home has moved them, and all others go on', async () => {
		const instance = installationOfTransport();
		const [two, three] = [instance(2), instance(3)];
		const moved: string[] = [];
		const stayed: string[] = [];
		// A third of all moves, and only to the new home.
		while (moved.length < 2 || stayed.length < 2) {
			const session = await begin(two.gateway);
			const [before, after] = [await two.placeOf(session), await three.placeOf(session)];
			expect(['2', before]).toContain(after);
			(before === after ? stayed : moved).push(session);
		}
		for (const session of stayed) expect(await ping(three.gateway, session)).toBe(200);
		for (const session of moved) expect(await ping(three.gateway, session)).toBe(404);
		// Who is told so initialises again. An instance that is not replaced yet still serves all of them.
		expect(await ping(three.gateway, await begin(three.gateway))).toBe(200);
		for (const session of [...stayed, ...moved]) {
			expect(await ping(two.gateway, session)).toBe(200);
		}
	});
});
