import * as v from 'valibot';
import { SessionManagerError } from '../../errors.ts';
import type { Inspected, InspectedPage } from '../../wire/inspection.ts';
import { functionSchema, parseOptions } from '../../wire/options.ts';
import { parseJson } from '../content.ts';
import { readBytes } from '../gateway/message-body.ts';
import { shortHash } from '../hash.ts';
import { type Homes, homesOf, type SessionHomes } from '../routing/homes.ts';
import { callObject } from '../routing/object.ts';
import { page } from './page.ts';
import { type Purpose, Sealer } from './sealer.ts';

/** How many sessions or listen streams, and how many events, one answer has. */
const ROWS_PER_PAGE = 25;
const EVENTS_PER_ANSWER = 50;

/** Of the body of a POST: a handle, and the JSON around it. */
const BODY_LIMITS = { maxBodyBytes: 2_000, bodyTimeout: 10_000 };

const OptionsSchema = v.strictObject({
	authorise: v.optional(functionSchema<SessionInspectorOptions['authorise']>()),
	path: v.optional(
		v.pipe(v.string(), v.regex(/^(\/[\w.~-]+)+$/, 'not a path like /inspector')),
		'/inspector',
	),
	payloads: v.optional(v.boolean(), false),
});

/** Options of {@link SessionInspector}. */
export interface SessionInspectorOptions {
	/**
	 * Whether whoever makes this request may see the page, and end sessions. It is asked for every request, and reads the
	 * headers only. Anything but `true`, an error included, is refused with 403; so is everything without it.
	 */
	authorise: (request: Request) => boolean | Promise<boolean>;
	/** Where the page is, without a slash at its end (default `/inspector`). */
	path?: string;
	/**
	 * Whether the page shows the first 2,000 characters of each message of the log (default `false`). They are what the
	 * server tells its clients.
	 */
	payloads?: boolean;
}

/**
 * A page for operators: homes, sessions, listen streams, the end of the log, a chart of rates, and a button that ends a
 * session.
 *
 * ```ts
 * import { SessionInspector } from '@tmcp/session-manager-durable-objects/inspector';
 *
 * const inspector = new SessionInspector(sessions.homes, { authorise: (request) => isOperator(request) });
 * // in fetch, before the gateway:
 * const response = (await inspector.respond(request)) ?? (await gateway.respond(request));
 * ```
 *
 * It stores nothing, and costs nothing while nobody has the page open. A page that is open and visible asks every three
 * seconds: one call for each home, and one more, which read what `SyncLayer.inspect` says. The page shows the beginning of
 * a session id only; what its button sends is the id, encrypted with a key that is made of the one that session ids are
 * signed with.
 *
 * Safe to construct at module scope. Needs a class with SQLite.
 */
export class SessionInspector {
	#homes: SessionHomes;
	#options: v.InferOutput<typeof OptionsSchema>;
	#sealer: Sealer | undefined;

	/**
	 * @param binding name of the Durable Object binding, the namespace itself, or the `SessionHomes` of the server:
	 * `homes` of a `DurableObjectSessions`
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(binding: Homes, options: SessionInspectorOptions) {
		this.#homes = homesOf(binding);
		this.#options = parseOptions(OptionsSchema, options, 'SessionInspector');
	}

	/**
	 * Answer a request to the inspector.
	 * @returns `undefined` for a request to any other path
	 */
	async respond(request: Request): Promise<Response | undefined> {
		const { path } = this.#options;
		const url = new URL(request.url);
		if (url.pathname !== path && !url.pathname.startsWith(`${path}/`)) return undefined;
		if (!(await this.#isAllowed(request))) return text(403, 'Forbidden');
		try {
			return await this.#route(url.pathname.slice(path.length), url, request);
		} catch (error) {
			const coded = SessionManagerError.from(error);
			if (!coded) throw error;
			return json({ error: coded.message }, 503);
		}
	}

	async #isAllowed(request: Request): Promise<boolean> {
		try {
			return (await this.#options.authorise?.(request)) === true;
		} catch (error) {
			console.error(error);
			return false;
		}
	}

	async #route(route: string, url: URL, request: Request): Promise<Response> {
		const method = route === '/end' ? 'POST' : 'GET';
		if (!['', '/', '/data', '/end'].includes(route)) return text(404, 'Not found');
		if (request.method !== method) return text(405, 'Method not allowed', { allow: method });
		if (route === '/data') return this.#data(url.searchParams);
		if (route !== '/end') return page();
		if (!isSameOrigin(request, url)) return text(403, 'Only the page itself may do that');
		const body = await readBytes(request, BODY_LIMITS);
		if (typeof body === 'string') return text(413, 'The body is too large, or too slow');
		return this.#end(new TextDecoder().decode(body));
	}

	async #data(params: URLSearchParams): Promise<Response> {
		const labels = (await this.#homes.labels()).toSorted(byNumber);
		const home = labels.find((label) => label === params.get('home')) ?? labels[0];
		const after = Number(params.get('after') ?? 0);
		const sessionsAfter = await this.#opened('sessions after', params.get('sessions'));
		const listenersAfter = await this.#opened('listeners after', params.get('listeners'));
		if (sessionsAfter === undefined || listenersAfter === undefined) {
			return json({ error: 'This page of the list is from another installation.' }, 400);
		}
		if (!Number.isSafeInteger(after) || after < 0)
			return json({ error: 'after is no number' }, 400);
		const called = await this.#homes.callEach<Inspected>(labels, (stub, label) =>
			stub.inspect(
				label !== home
					? {}
					: {
							sessions: { after: sessionsAfter, limit: ROWS_PER_PAGE },
							listeners: { after: listenersAfter, limit: ROWS_PER_PAGE },
							log: { after, limit: EVENTS_PER_ANSWER, payloads: this.#options.payloads },
						},
			),
		);
		const homes = called.map(({ label, outcome }) => {
			if (outcome.status === 'rejected') return { label, error: String(outcome.reason) };
			const { streams, listeners, known, log } = outcome.value;
			return { label, streams, listeners, known, log };
		});
		const { outcome } = called.find(({ label }) => label === home) ?? {};
		const of = outcome?.status === 'fulfilled' ? outcome.value : undefined;
		return json({
			at: Date.now(),
			home,
			homes,
			sessions: await this.#sealedPage(
				of?.sessions,
				'sessions after',
				async ({ sessionId, ...session }) => ({
					key: await this.#sealed('session', sessionId),
					name: await shortHash(sessionId),
					...session,
				}),
			),
			listeners: await this.#sealedPage(
				of?.listenerPage,
				'listeners after',
				async ({ connectionId, id, ...listener }) => ({
					key: await this.#sealed('listener', connectionId),
					id: shortened(String(id)),
					...listener,
				}),
			),
			events: of?.events ?? [],
		});
	}

	async #end(body: string): Promise<Response> {
		const handle = handleIn(body);
		const session = handle && (await this.#opened('session', handle));
		if (!session) return json({ error: 'This names no session.' }, 400);
		const hadStream = await callObject(this.#homes.of(session), (stub) => stub.end(session));
		return json({ ended: await shortHash(session), hadStream });
	}

	/** @param after purpose of the seal on where the next page begins @param shown what the browser gets of an item */
	async #sealedPage<Item>(
		of: InspectedPage<Item> | undefined,
		after: Purpose,
		shown: (item: Item) => Promise<object>,
	) {
		const { items = [], next } = of ?? {};
		return {
			items: await Promise.all(items.map(shown)),
			next: next === undefined ? undefined : await this.#sealed(after, next),
		};
	}

	async #sealed(purpose: Purpose, value: string): Promise<string> {
		return (await this.#getSealer()).seal(purpose, value);
	}

	/** @returns the empty string for none, `undefined` for what was not sealed here */
	async #opened(purpose: Purpose, sealed: string | null): Promise<string | undefined> {
		return sealed === null ? '' : (await this.#getSealer()).open(purpose, sealed);
	}

	/** A failure is not remembered: the next one asks again. */
	async #getSealer(): Promise<Sealer> {
		return (this.#sealer ??= await Sealer.of(await this.#homes.signingKey()));
	}
}

/** Numbers in labels count as numbers: 2 is before 10. */
function byNumber(one: string, other: string): number {
	return one.localeCompare(other, 'en', { numeric: true });
}

/** The id of a request, which its client may have made long. */
function shortened(id: string): string {
	return id.length <= 3 ? id : `${id.slice(0, Math.min(6, Math.floor(id.length / 3)))}…`;
}

function handleIn(body: string): string | undefined {
	const handle: unknown = Reflect.get(Object(parseJson(body)), 'session');
	return typeof handle === 'string' ? handle : undefined;
}

/**
 * Whether it comes from this page: another site's page could send it with the operator's cookies. Browsers set one of these
 * headers for every POST, and no page can change them.
 */
function isSameOrigin(request: Request, url: URL): boolean {
	const site = request.headers.get('sec-fetch-site');
	if (site !== null) return site === 'same-origin';
	return request.headers.get('origin') === url.origin;
}

const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

function text(status: number, body: string, headers: Record<string, string> = {}): Response {
	return new Response(body, { status, headers: { ...HEADERS, ...headers } });
}

function json(body: object, status = 200): Response {
	return Response.json(body, { status, headers: HEADERS });
}
