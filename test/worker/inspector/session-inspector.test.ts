import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { SessionInspector, type SessionInspectorOptions } from '../../../src/inspector.ts';
import { shortHash } from '../../../src/worker/hash.ts';
import { SessionHomes } from '../../../src/index.ts';
import { HomeCalls, ownHomes } from '../../support/objects.ts';

const OWNER = 'o'.repeat(43);
const ORIGIN = 'https://example.com';

let homes: SessionHomes;
let noted: HomeCalls;

beforeEach(() => {
	noted = new HomeCalls();
	homes = new SessionHomes(ownHomes(env.TMCP_DURABLE_OBJECT, crypto.randomUUID(), noted));
});

interface Data {
	home: string;
	homes: { label: string; error?: string; known?: number }[];
	sessions: { items: { key: string; name: string }[]; next?: string };
	listeners: { items: unknown[] };
	events: { seq: number; method?: string; payload?: string }[];
}

const inspectorOf = (options: Partial<SessionInspectorOptions> = {}) =>
	new SessionInspector(homes, { authorise: () => true, ...options });

async function get(path: string, inspector = inspectorOf()): Promise<Response> {
	const response = await inspector.respond(new Request(ORIGIN + path));
	if (!response) throw new Error(`${path} is not the inspector's.`);
	return response;
}

const dataOf = async (query = '', inspector = inspectorOf()): Promise<Data> =>
	(await get(`/inspector/data${query}`, inspector)).json();

async function end(
	session: unknown,
	headers: Record<string, string> = { 'sec-fetch-site': 'same-origin' },
): Promise<Response | undefined> {
	const body = JSON.stringify({ session });
	const request = new Request(`${ORIGIN}/inspector/end`, { method: 'POST', headers, body });
	return inspectorOf().respond(request);
}

/** A session as the gateway begins it. */
async function begin(): Promise<string> {
	const session = await homes.mint('0');
	await homes.at('0').stub().begin(session, OWNER);
	return session;
}

describe('everything is refused', () => {
	const PATHS = ['/inspector', '/inspector/', '/inspector/data', '/inspector/end', '/inspector/x'];

	it.each([
		['where authorise says no', () => false],
		['where it answers something else', () => 'true'],
		['where it answers a promise of something else', () => Promise.resolve(1)],
		['where it rejects', () => Promise.reject(new Error('no session store'))],
		[
			'where it throws',
			() => {
				throw new Error('no cookie');
			},
		],
	])('%s', async (_, authorise) => {
		const error = vi.spyOn(console, 'error').mockReturnValue();
		const inspector = new SessionInspector(homes, { authorise: authorise as () => boolean });
		for (const path of PATHS) expect((await get(path, inspector)).status).toBe(403);
		expect(noted.calls).toEqual([]);
		error.mockRestore();
	});

	it('where there is no authorise', async () => {
		const inspector: SessionInspector = Reflect.construct(SessionInspector, [homes, {}]);
		for (const path of PATHS) expect((await get(path, inspector)).status).toBe(403);
	});
});

it('other paths are not its own', async () => {
	for (const path of ['/', '/mcp', '/inspectors', '/x/inspector'])
		expect(await inspectorOf().respond(new Request(ORIGIN + path))).toBeUndefined();
	const elsewhere = inspectorOf({ path: '/admin/sessions' });
	expect((await get('/admin/sessions', elsewhere)).status).toBe(200);
	expect(await elsewhere.respond(new Request(`${ORIGIN}/inspector`))).toBeUndefined();
});

it('only the methods that a path has are taken', async () => {
	const post = new Request(`${ORIGIN}/inspector`, { method: 'POST' });
	expect((await inspectorOf().respond(post))?.status).toBe(405);
	expect((await get('/inspector/end')).status).toBe(405);
	expect((await get('/inspector/elsewhere')).status).toBe(404);
});

it('the page runs its own script only, in nobody’s frame', async () => {
	const [one, other] = [await get('/inspector'), await get('/inspector')];
	const policy = one.headers.get('content-security-policy') ?? '';
	const [, nonce] = /script-src 'nonce-([^']+)'/.exec(policy) ?? [];
	expect(policy).toContain("default-src 'none'");
	expect(policy).toContain("frame-ancestors 'none'");
	const html = await one.text();
	expect(html.match(/<script\b[^>]*>/g)).toEqual([`<script type="module" nonce="${nonce}">`]);
	expect(html).not.toMatch(/\son\w+=|\sstyle=|innerHTML/);
	expect(await other.text()).not.toContain(nonce);
	expect(noted.calls).toEqual([]);
});

it('no session id leaves it', async () => {
	const sessions = [await begin(), await begin()];
	const text = await (await get('/inspector/data')).text();
	for (const session of sessions) {
		expect(text).not.toContain(session);
		expect(text).not.toContain(session.split('.')[2]);
		expect(text).toContain(`"${await shortHash(session)}"`);
	}
});

it('a poll costs one call for each home, and one more', async () => {
	await begin();
	const inspector = inspectorOf();
	await dataOf('', inspector);
	expect(await noted.of(() => dataOf('', inspector))).toEqual(['0 homes', '0 inspect']);
});

it('pages through sessions with a cursor that names none of them', async () => {
	const sessions = await Promise.all(Array.from({ length: 60 }, begin));
	const names: string[] = [];
	let query = '';
	for (let page = 0; page < 3; page++) {
		const { sessions: of } = await dataOf(query);
		names.push(...of.items.map(({ name }) => name));
		query = of.next === undefined ? '' : `?sessions=${of.next}`;
		for (const session of sessions) expect(of.next ?? '').not.toContain(session);
	}
	expect(query).toBe('');
	const hashes = await Promise.all(sessions.map((session) => shortHash(session)));
	expect(names.toSorted()).toEqual(hashes.toSorted());
});

describe('a session is ended', () => {
	it('with the handle that the page got, which stays the same', async () => {
		const session = await begin();
		const [before, again] = [await dataOf(), await dataOf()];
		const [of] = before.sessions.items;
		expect(again.sessions.items[0]?.key).toBe(of?.key);
		expect(await homes.at('0').stub().admit(session, OWNER)).toBe(true);

		const response = await end(of?.key);

		expect(response?.status).toBe(200);
		expect(await response?.json()).toEqual({ ended: of?.name, hadStream: false });
		expect(await homes.at('0').stub().admit(session, OWNER)).toBe(false);
		expect((await dataOf()).sessions.items).toEqual([]);
	});

	it('with its Origin, where a browser does not say Sec-Fetch-Site', async () => {
		await begin();
		const { sessions } = await dataOf();
		expect((await end(sessions.items[0]?.key, { origin: ORIGIN }))?.status).toBe(200);
	});

	it.each([
		['from another site', { 'sec-fetch-site': 'cross-site', origin: ORIGIN }],
		['from another subdomain', { 'sec-fetch-site': 'same-site' }],
		['from another origin', { origin: 'https://evil.example' }],
		['from nowhere', {}],
	])('not %s', async (_, headers: Record<string, string>) => {
		const session = await begin();
		const { sessions } = await dataOf();
		expect((await end(sessions.items[0]?.key, headers))?.status).toBe(403);
		expect(await homes.at('0').stub().admit(session, OWNER)).toBe(true);
	});

	it('not with its id, a cursor, another installation’s handle or anything else', async () => {
		const session = await begin();
		await Promise.all(Array.from({ length: 30 }, begin));
		const { sessions } = await dataOf();
		const others = new SessionHomes(ownHomes(env.TMCP_DURABLE_OBJECT, crypto.randomUUID()));
		await others.at('0').stub().begin('theirs', OWNER);
		const foreign = new SessionInspector(others, { authorise: () => true });
		const theirs = await dataOf('', foreign);
		const altered = sessions.items[0]?.key.replace(/^./, (char) => (char === 'A' ? 'B' : 'A'));
		for (const handle of [
			session,
			sessions.next,
			theirs.sessions.items[0]?.key,
			altered,
			'',
			null,
			7,
		]) {
			expect((await end(handle))?.status).toBe(400);
		}
		expect((await end('x'.repeat(3_000)))?.status).toBe(413);
		expect((await dataOf()).homes[0]?.known).toBe(31);
	});
});

it('shows payloads only where it is told to', async () => {
	const message = 'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/message"}\n\n';
	await homes.at('0').stub().broadcast(undefined, message);
	expect((await dataOf()).events).toMatchObject([{ seq: 1, method: 'notifications/message' }]);
	expect((await dataOf()).events[0]?.payload).toBeUndefined();
	const { events } = await dataOf('', inspectorOf({ payloads: true }));
	expect(events[0]?.payload).toBe(message);
	expect((await dataOf('?after=1')).events).toEqual([]);
});

it('shows the other homes where one fails', async () => {
	await homes.register(homes.at('1'));
	await homes.at('1').stub().begin('one', OWNER);
	noted.failing.set('1', 2);
	const { homes: shown } = await dataOf();
	expect(shown).toMatchObject([
		{ label: '0', known: 0 },
		{ label: '1', error: expect.stringContaining('OBJECT_FAILED') },
	]);
	expect((await dataOf('?home=1')).sessions.items).toHaveLength(1);
	expect((await dataOf('?home=9')).home).toBe('0');
});

it.each(['?sessions=x', '?listeners=AAAA', '?after=-1', '?after=x'])(
	'refuses %s',
	async (query) => {
		expect((await get(`/inspector/data${query}`)).status).toBe(400);
	},
);
