import type { Random } from '../torture/random.ts';

/** The methods of `SyncLayer` that take a call from outside, each with arguments that it takes. */
const METHODS = [
	'begin',
	'admit',
	'admitWithInfo',
	'infoOf',
	'inform',
	'subscribersOf',
	'attach',
	'detach',
	'end',
	'has',
	'broadcast',
	'broadcastBatch',
	'ask',
	'answer',
	'subscribe',
	'publish',
	'unsubscribe',
	'relay',
	'endOwner',
	'listSessions',
	'inspect',
	'registerHome',
	'forgetHomes',
	'stats',
] as const;

export type Method = (typeof METHODS)[number];

export interface Input {
	method: Method;
	args: unknown[];
}

const OWNER = 'o'.repeat(43);

/** What a stream may hear that is not named. */
const FOR_ALL = 'for all';
export const FOR_NAMED = 'for those who are named';

/** Arguments as nobody should give them, the same for the same seed. */
export class Hostile {
	#random: Random;

	constructor(random: Random) {
		this.#random = random;
	}

	next(): Input {
		const method = this.#random.pick(METHODS);
		const args = this.#valid(method);
		const mutations = this.#random.pick([0, 1, 1, 1, 1, 2, 3]);
		for (let count = 0; count < mutations; count++) {
			try {
				this.#mutate(args);
			} catch {
				// What was put there before, or a length that is none, does not let it.
			}
		}
		if (this.#random.below(30) === 0) args.push(this.#value(0));
		if (this.#random.below(30) === 0) args.length = this.#random.below(args.length + 1);
		relabel(method, args);
		return { method, args };
	}

	/** What is no upgrade, though it may bring the right key. @param key of the object */
	upgrade(key: string): Request {
		const text = () =>
			this.#random.pick([crypto.randomUUID(), '', 'x', 'x'.repeat(10_000), '%00', 'null']);
		const headers = new Headers();
		if (this.#random.below(4) > 0)
			headers.set('upgrade', this.#random.pick(['websocket', 'WebSocket', 'h2c']));
		if (this.#random.below(4) > 0) headers.set('x-tmcp-ticket', text());
		const claim = encodeURIComponent(JSON.stringify({ sessionId: text(), [text()]: text() }));
		const keyed = [
			this.#random.pick([key, 'k'.repeat(key.length), text()]),
			this.#random.pick([claim, text()]),
		];
		if (this.#random.below(2) === 0) headers.set('x-tmcp-key', keyed.join(' '));
		const method = this.#random.pick(['GET', 'POST', 'PUT', 'OPTIONS', 'DELETE']);
		return new Request(`https://sync-layer/${encodeURIComponent(text())}`, { method, headers });
	}

	#valid(method: Method): unknown[] {
		const random = this.#random;
		const session = `fuzz-${random.below(10)}`;
		const sessions = random.pick([undefined, [session], [session, 'fuzz-0'], []]);
		const data = sessions === undefined ? FOR_ALL : FOR_NAMED;
		const id = random.uuid();
		const origin = `fuzz-${random.below(3)}`;
		switch (method) {
			case 'begin':
				return [session, OWNER, { account: OWNER, info: { logLevel: 'info' } }];
			case 'admit':
			case 'admitWithInfo':
				return [session, OWNER];
			case 'inform':
				return [
					session,
					[{ set: { clientInfo: { name: 'x', version: '1' } } }, { subscribe: OWNER }],
				];
			case 'subscribersOf':
				return [OWNER];
			case 'attach':
				return [
					session,
					{
						ticket: id,
						connectionId: random.uuid(),
						lastEventId: '0.abc.1',
						resume: false,
						owner: OWNER,
						window: 1_000,
					},
				];
			case 'detach':
				return [session, { connectionId: id, position: 1 }];
			case 'broadcast':
				return [sessions, data, { id }];
			case 'broadcastBatch':
				return [[{ sessions, data, id }]];
			case 'ask':
				return [
					session,
					OWNER,
					[{ id, timeout: 1_000 }],
					{ connectionId: random.uuid(), ticket: random.uuid() },
				];
			case 'answer':
				return [session, OWNER, `${id}.${random.uuid()}`, '{"jsonrpc":"2.0","result":{}}'];
			case 'subscribe':
				return [
					{
						id: random.below(5),
						origin,
						filters: { toolsListChanged: true, resourceSubscriptions: ['a://b'] },
					},
					{ ticket: id, connectionId: random.uuid(), account: OWNER },
				];
			case 'publish':
				return [[toolsChanged()], { id }];
			case 'unsubscribe':
				return [{ origin, id: random.below(5) }, 'closed', { id }];
			case 'relay':
				return [
					{
						broadcasts: [{ sessions, data, id }],
						publish: { notifications: [toolsChanged()], options: { id: random.uuid() } },
						...(random.below(2) === 0 && { end: { session, owner: OWNER, options: { id } } }),
						unsubscribe: { target: { origin }, reason: 'closed', options: { id: random.uuid() } },
						subscribersOf: OWNER,
					},
				];
			case 'endOwner':
				return [OWNER];
			case 'listSessions':
				return [{ after: session, limit: 10 }];
			case 'inspect':
				return [
					{
						sessions: { after: session, limit: 10 },
						listeners: { after: id, limit: 10 },
						log: { after: 1, before: 10, limit: 10, payloads: true },
					},
				];
			case 'registerHome':
				return [random.pick(['3', 'weur-3', 'me-999'])];
			case 'forgetHomes':
				return [['3', 'weur-3']];
			case 'stats':
				return [];
			default:
				return [session];
		}
	}

	/** Put something else into one place of it, however deep. */
	#mutate(args: unknown[]): void {
		let place: object = args;
		for (;;) {
			const keys = Object.keys(place);
			const key = keys.length === 0 ? '0' : this.#random.pick([keys[0] ?? '0', ...keys]);
			const inner: unknown = Reflect.get(place, key);
			const isDeep = typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0;
			if (isDeep && Object.isExtensible(inner) && this.#random.below(3) > 0) {
				place = inner;
				continue;
			}
			const how = this.#random.below(10);
			if (how === 0) Reflect.deleteProperty(place, key);
			else if (how === 1 && place !== args)
				Reflect.set(
					place,
					this.#random.pick(['extra', '__proto__', 'constructor', 'length']),
					this.#value(0),
				);
			else Reflect.set(place, key, this.#value(0));
			return;
		}
	}

	#value(depth: number): unknown {
		const random = this.#random;
		const inner = () => (depth > 3 ? null : this.#value(depth + 1));
		return random.pick<() => unknown>([
			() => undefined,
			() => null,
			() => true,
			() => random.pick([0, -0, -1, 1.5, Number.NaN, Infinity, -Infinity, 2 ** 53, 5e-324]),
			() => random.pick([0n, 2n ** 64n]),
			() =>
				random.pick([
					'',
					' ',
					'x',
					'\n',
					'\0',
					'\ud800',
					'🙂',
					'__proto__',
					'kind stream',
					'fuzz-0\nfuzz-1',
					'%00',
					"'; DROP TABLE tmcp_sessions; --",
				]),
			() =>
				random.pick(['x', '🙂', '\n', '"']).repeat(random.pick([257, 1_025, 70_000, 1_000_000])),
			() => random.uuid(),
			() => OWNER,
			() => [],
			() => [inner(), inner()],
			() => ({}),
			() => ({ [random.pick(['id', 'origin', 'filters', 'x', 'length', 'then'])]: inner() }),
			() => Object.create(null),
			() => Object.assign([], { length: random.pick([1, 1_000, 5e7, 4e9]) }),
			() => Array.from({ length: 2_000 }, () => random.pick([null, 'x', 0, {}])),
			() => new Map([['a', inner()]]),
			() => new Set([inner()]),
			() => new Date(random.pick([0, Number.NaN])),
			() => new ArrayBuffer(random.pick([0, 8, 100_000])),
			() => new Uint8Array(8),
			() => /x/g,
			() => new Error('x'),
			() => new Headers({ a: 'b' }),
			() => () => 'called',
			() => Symbol('x'),
			() => cyclic(),
			() => nested(random.pick([10, 1_000, 20_000])),
			() => Object.defineProperty({}, 'id', { enumerable: true, get: boom }),
			() => new Proxy({}, { get: boom, ownKeys: boom }),
		])();
	}
}

/** A new one each time, because it may be mutated. */
function toolsChanged(): object {
	const params = { _meta: { of: ['x', 1] }, of: { it: null } };
	return { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params };
}

/** To name nobody is to name all, and then it is for all. */
function relabel(method: Method, args: unknown[]): void {
	if (method === 'broadcast' && args[0] === undefined && args[1] === FOR_NAMED) args[1] = FOR_ALL;
	if (method !== 'broadcastBatch' && method !== 'relay') return;
	try {
		const batch: unknown =
			method === 'relay' ? Reflect.get(Object(args[0]), 'broadcasts') : args[0];
		// Not by its iterator: its prototype may be another, which RPC does not carry.
		const entry = Object(Reflect.get(Object(batch), 0));
		if (entry.sessions === undefined && entry.data === FOR_NAMED) entry.data = FOR_ALL;
	} catch {
		// It cannot be read.
	}
}

function boom(): never {
	throw new TypeError('boom');
}

function cyclic(): object {
	const of: Record<string, unknown> = {};
	of['self'] = of;
	return of;
}

function nested(depth: number): object {
	let of: object = {};
	for (let level = 0; level < depth; level++) of = { of };
	return of;
}

/** Whether all the notifications of an input are JSON, as far as they are read: nothing else may be taken. */
export function isJson({ method, args: [given] }: Input): boolean {
	if (method === 'publish') return isJsonValue(given);
	const publish: unknown = method === 'relay' ? Reflect.get(Object(given), 'publish') : undefined;
	return publish === undefined || isJsonValue(Reflect.get(Object(publish), 'notifications'));
}

function isJsonValue(value: unknown): boolean {
	if (typeof value !== 'object' || value === null) {
		return typeof value === 'number'
			? Number.isFinite(value)
			: value === null || ['string', 'boolean'].includes(typeof value);
	}
	if (Array.isArray(value)) {
		// Not by its iterator: its prototype may be another.
		return Array.from({ length: value.length }, (_, index): unknown =>
			Object.hasOwn(value, index) ? value[index] : undefined,
		).every(isJsonValue);
	}
	if (![Object.prototype, null].includes(Object.getPrototypeOf(value))) return false;
	return Object.values(value).every((of) => of === undefined || isJsonValue(of));
}

/** For a report. */
export function describe({ method, args }: Input): string {
	return `${method}(${Array.from(args, show).join(', ')})`;
}

function show(of: unknown): string {
	try {
		const text = JSON.stringify(of) ?? String(of);
		return text.length > 200 ? `${text.slice(0, 200)}… (${text.length})` : text;
	} catch {
		return `(${typeof of}, not JSON)`;
	}
}
