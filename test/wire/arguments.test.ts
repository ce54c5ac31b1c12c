import { describe, expect, it } from 'vitest';
import {
	normaliseNotification,
	parseAskOptions,
	parseAttachOptions,
	parseBatch,
	parseBeginOptions,
	parseBroadcast,
	parseDetachOptions,
	parseHomeLabels,
	parseNotifications,
	parseOwner,
	parseQuestions,
	parseRelay,
	parseSendOptions,
	parseSessionId,
	parseSubscribeOptions,
	parseSubscription,
	parseUnsubscribe,
} from '../../src/wire/arguments.ts';
import {
	MAX_ADDRESSEES,
	MAX_BATCH_ITEMS,
	MAX_BROADCAST_BYTES,
	shareOfBatch,
} from '../../src/wire/limits.ts';

/** A session id that was given where something else belongs; no session id can have the line feed. */
const SECRET = 'secret-4f1d\n';

describe('what is refused is not quoted, because it may be a session id', () => {
	it.each<[string, () => unknown]>([
		['a session id', () => parseSessionId(SECRET)],
		['an owner', () => parseOwner(SECRET)],
		['an option of attach', () => parseAttachOptions({ connectionId: SECRET })],
		['the options of attach', () => parseAttachOptions(SECRET)],
		['an option of detach', () => parseDetachOptions({ position: SECRET })],
		['the options of subscribe', () => parseSubscribeOptions([SECRET])],
		['the options of broadcast', () => parseSendOptions(SECRET, 'broadcast')],
		['the sessions of a broadcast', () => parseBroadcast(SECRET, 'data', undefined)],
		['one session of a broadcast', () => parseBroadcast([SECRET], 'data', undefined)],
		['a batch', () => parseBatch([SECRET])],
		['a notification', () => parseNotifications([SECRET])],
		['the version of a notification', () => parseNotifications([{ jsonrpc: SECRET }])],
		['a subscription', () => parseSubscription(SECRET)],
		[
			'the filters of a subscription',
			() => parseSubscription({ id: 1, origin: 'a', filters: SECRET }),
		],
		['the target of unsubscribe', () => parseUnsubscribe(SECRET, 'closed')],
		['the reason of unsubscribe', () => parseUnsubscribe({}, SECRET)],
	])('%s', (_, parse) => {
		expect(parse).toThrow(/^INVALID_(ARGUMENT|SESSION_ID): /);
		expect(parse).not.toThrow(/secret/);
	});
});

it('a list of homes that cannot be read is refused with a code', () => {
	const homes = Object.setPrototypeOf(['3', 'weur-3'], Map.prototype);
	expect(() => parseHomeLabels(homes)).toThrow(/^INVALID_ARGUMENT: .*cannot be read/);
	expect(parseHomeLabels(['3', 'weur-3'])).toEqual(new Set(['3', 'weur-3']));
});

it('an unknown option is named, and so are those that there are', () => {
	expect(() => parseDetachOptions({ conectionId: 'x' })).toThrow(
		/conectionId.*detach.*connectionId, position/,
	);
});

const LIST_CHANGED = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

/** An array of one item that claims to be longer, and tells how often it is read. */
function claim(length: number, item: unknown) {
	const array = [item];
	array.length = length;
	const claimed = { reads: 0 };
	return Object.assign(claimed, {
		array: new Proxy(array, {
			get: (target, key) => {
				claimed.reads++;
				return Reflect.get(target, key);
			},
		}),
	});
}

describe('an array is asked for its length before its items are read', () => {
	describe.each([5e7, 4e9])('%i', (length) => {
		it.each<[string, unknown, (input: unknown) => unknown]>([
			['sessions', 'one', (sessions) => parseBroadcast(sessions, 'data', undefined)],
			['broadcasts', { sessions: ['one'], data: 'data' }, parseBatch],
			['notifications', LIST_CHANGED, parseNotifications],
			[
				'resources',
				'x:1',
				(uris) =>
					parseSubscription({ id: 1, origin: 'a', filters: { resourceSubscriptions: uris } }),
			],
			['questions', { id: crypto.randomUUID(), timeout: 1 }, parseQuestions],
			[
				'values in a notification',
				1,
				(list) => parseNotifications([{ ...LIST_CHANGED, params: { list } }]),
			],
			[
				'values in a notification, before it leaves the Worker',
				1,
				(list) => normaliseNotification({ ...LIST_CHANGED, params: { list } }),
			],
		])('%s', (_, item, parse) => {
			const claimed = claim(length, item);
			expect(() => parse(claimed.array)).toThrow(
				/^(INVALID_ARGUMENT|TOO_MANY_QUESTIONS|PAYLOAD_TOO_LARGE): /,
			);
			expect(claimed.reads).toBeLessThan(5);
		});
	});

	it('as many as there may be are taken', () => {
		const ids = Array.from({ length: MAX_ADDRESSEES }, (_, index) => `${index}`);
		expect(parseBroadcast(ids, '', undefined).sessions).toHaveLength(MAX_ADDRESSEES);
		expect(() => parseBroadcast([...ids, 'x'], '', undefined)).toThrow(/100000/);
		const items = <Item>(item: Item) => Array.from({ length: MAX_BATCH_ITEMS }, () => item);
		expect(parseBatch(items({ sessions: [], data: '' }))).toHaveLength(MAX_BATCH_ITEMS);
		expect(parseNotifications(items(LIST_CHANGED))).toHaveLength(MAX_BATCH_ITEMS);
		expect(() => parseBatch([...items({ sessions: [], data: '' }), 1])).toThrow(/10000/);
		expect(() => parseNotifications([...items(LIST_CHANGED), 1])).toThrow(/10000/);
	});
});

describe('one object that is named again and again is counted each time', () => {
	it('in a batch, by how many sessions it names, however short their ids or often the same', () => {
		const per = MAX_ADDRESSEES / 10;
		const different = Array.from({ length: per }, (_, index) => index.toString(36));
		const same = Array.from({ length: per }, () => 'x');
		for (const sessions of [different, same]) {
			const most = Array.from({ length: 10 }, () => ({ sessions, data: '' }));
			expect(parseBatch(most)).toHaveLength(10);
			expect(() => parseBatch([...most, { sessions: ['x'], data: '' }])).toThrow(
				/^PAYLOAD_TOO_LARGE: .*100001 sessions.*100000/,
			);
		}
	});

	it('in a batch that a manager makes: what it adds up to has room in the object', () => {
		for (const id of ['x', 'x'.repeat(256)]) {
			const sessions = Array.from({ length: 100 }, () => id);
			const share = shareOfBatch(sessions, '');
			const count = Math.floor(MAX_BROADCAST_BYTES / share);
			expect(
				parseBatch(Array.from({ length: count }, () => ({ sessions, data: '' }))),
			).toHaveLength(count);
		}
		expect(
			shareOfBatch(
				Array.from({ length: MAX_ADDRESSEES }, () => 'x'),
				'',
			),
		).toBe(MAX_BROADCAST_BYTES);
		expect(shareOfBatch(undefined, 'data')).toBe(12);
	});

	it('in a batch, by its payload', () => {
		const data = 'x'.repeat(1_000_000);
		const batch = Array.from({ length: 40 }, () => ({ sessions: ['x'], data }));
		expect(() => parseBatch(batch)).toThrow(/^PAYLOAD_TOO_LARGE: /);
		expect(parseBatch(batch.slice(0, 30))).toHaveLength(30);
	});

	it('in a notification', () => {
		let bomb: unknown = ['x'.repeat(100)];
		for (let depth = 0; depth < 12; depth++) bomb = Array.from({ length: 10 }, () => bomb);
		const notification = { ...LIST_CHANGED, params: { bomb } };
		expect(() => parseNotifications([notification])).toThrow(/^PAYLOAD_TOO_LARGE: /);
		expect(() => normaliseNotification(notification)).toThrow(/^PAYLOAD_TOO_LARGE: /);
	});

	it('with the names of its properties', () => {
		const long = { ['k'.repeat(100_000)]: 1 };
		const notification = {
			...LIST_CHANGED,
			params: { list: Array.from({ length: 1_000 }, () => long) },
		};
		expect(() => parseNotifications([notification])).toThrow(/^PAYLOAD_TOO_LARGE: /);
	});

	it('in a batch or a list of notifications, before it is looked into each time', () => {
		const reads = { count: 0 };
		const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`key${index}`, 1]));
		const watched = new Proxy(many, {
			ownKeys: (target) => {
				reads.count++;
				return Reflect.ownKeys(target);
			},
		});
		const times = <Item>(item: Item) => Array.from({ length: MAX_BATCH_ITEMS }, () => item);
		expect(() => parseBatch([...times({ sessions: watched, data: '' })])).toThrow(/^INVALID_ARG/);
		expect(reads.count).toBeLessThan(10);
		const large = { ['k'.repeat(10_000_000)]: 1 };
		const shared = { ...LIST_CHANGED, params: { of: watched, large } };
		expect(() => parseNotifications(times(shared))).toThrow(/^PAYLOAD_TOO_LARGE: /);
		expect(reads.count).toBeLessThan(20);
	});

	it('in several notifications', () => {
		const params = { text: 'x'.repeat(1_000_000) };
		const notifications = Array.from({ length: 40 }, () => ({ ...LIST_CHANGED, params }));
		expect(() => parseNotifications(notifications)).toThrow(/^PAYLOAD_TOO_LARGE: /);
		expect(parseNotifications(notifications.slice(0, 30))).toHaveLength(30);
	});

	it('in the resources of a subscription', () => {
		const uri = '\0'.repeat(100_000);
		const to = (count: number) => ({
			id: 1,
			origin: 'a',
			filters: { resourceSubscriptions: Array.from({ length: count }, () => uri) },
		});
		expect(() => parseSubscription(to(10_000))).toThrow(/^INVALID_ARGUMENT: .*1048576/);
		expect(() => parseSubscription(to(2))).toThrow(/^INVALID_ARGUMENT: .*1048576/);
		expect(parseSubscription(to(1)).filters.resourceSubscriptions).toEqual([uri]);
	});
});

it('what JSON writes six times as long is counted so', () => {
	const text = '\0'.repeat(6_000_000);
	expect(() => parseNotifications([{ ...LIST_CHANGED, params: { text } }])).toThrow(
		/^PAYLOAD_TOO_LARGE: /,
	);
	const [written] = parseNotifications([{ ...LIST_CHANGED, params: { text: text.slice(1e6) } }]);
	expect(written?.json).toHaveLength(
		JSON.stringify({ ...LIST_CHANGED, params: { text: '' } }).length + 30_000_000,
	);
});

describe('only a plain object is an object', () => {
	class Instance {
		readonly own = 1;
	}
	const none = () => [
		[],
		new Map(),
		new Set(),
		new Date(0),
		new ArrayBuffer(1),
		new Error('x'),
		/x/,
		new Instance(),
	];
	const cases: [string, (input: object) => unknown][] = [
		['the options of attach', parseAttachOptions],
		['the options of ask', parseAskOptions],
		['the options of broadcast', (input) => parseSendOptions(input, 'broadcast')],
		['one of a batch', (input) => parseBatch([Object.assign(input, { sessions: [], data: '' })])],
		['a notification', (input) => parseNotifications([Object.assign(input, LIST_CHANGED)])],
		['the params of a notification', (params) => parseNotifications([{ ...LIST_CHANGED, params }])],
		[
			'a subscription',
			(input) => parseSubscription(Object.assign(input, { id: 1, origin: 'a', filters: {} })),
		],
		['the filters', (filters) => parseSubscription({ id: 1, origin: 'a', filters })],
		['the target of unsubscribe', (input) => parseUnsubscribe(input, 'closed')],
	];
	it.each(cases)('%s', (_, parse) => {
		for (const input of none()) expect(() => parse(input)).toThrow(/^INVALID_ARGUMENT: /);
	});

	it('and none that is written as something else, whose text no stream could read', () => {
		const toJSON = () => undefined;
		for (const input of [
			{ ...LIST_CHANGED, toJSON },
			{ ...LIST_CHANGED, params: { toJSON } },
		]) {
			expect(() => parseNotifications([input])).toThrow(/^INVALID_ARGUMENT: /);
		}
	});
});

describe('what JSON cannot say is refused in a notification, wherever it is', () => {
	class Instance {
		readonly own = 1;
	}
	const places: [string, (value: unknown) => unknown][] = [
		['as one of the params', (value) => ({ value })],
		['in an object', (value) => ({ of: { of: value } })],
		['in an array', (value) => ({ of: [1, [value]] })],
	];
	const values: [string, unknown][] = [
		['a Map', new Map([['a', 1]])],
		['a Set', new Set([1])],
		['a Date', new Date(0)],
		['an ArrayBuffer', new ArrayBuffer(1)],
		['bytes', new Uint8Array(1)],
		['an Error', new Error('x')],
		['a pattern', /x/],
		['headers', new Headers()],
		['an instance of a class', new Instance()],
		['a boxed string', Object('x')],
		['a function', () => 'called'],
		['a symbol', Symbol('x')],
		['a BigInt', 1n],
		['NaN', Number.NaN],
		['infinity', -Infinity],
		['what is written as something else', { toJSON: () => 'x' }],
	];
	const parsers: [string, (params: unknown) => unknown][] = [
		['in the object', (params) => parseNotifications([{ ...LIST_CHANGED, params }])],
		[
			'in a relay',
			(params) => parseRelay({ publish: { notifications: [{ ...LIST_CHANGED, params }] } }),
		],
		['in the Worker', (params) => normaliseNotification({ ...LIST_CHANGED, params })],
	];
	describe.each(parsers)('%s', (_, parse) => {
		it.each(values)('%s', (_name, value) => {
			for (const [, at] of places) {
				expect(() => parse(at(value))).toThrow(/^INVALID_ARGUMENT: .*not JSON/);
			}
		});

		it('undefined in an array; as a property it counts as missing', () => {
			expect(() => parse({ of: [undefined] })).toThrow(/^INVALID_ARGUMENT: .*not JSON/);
			expect(() => parse({ of: Object.assign([], { length: 3 }) })).toThrow(/^INVALID_ARGUMENT: /);
			expect(() => parse({ of: { it: undefined } })).not.toThrow();
		});
	});

	it('and everything that JSON can say is taken', () => {
		const params = { none: null, yes: true, zero: -0, text: '\ud800', list: [[], {}, 1.5] };
		const [written] = parseNotifications([{ ...LIST_CHANGED, params }]);
		expect(written?.json).toBe(JSON.stringify({ ...LIST_CHANGED, params }));
		expect(parseNotifications([{ ...LIST_CHANGED, params: Object.create(null) }])).toHaveLength(1);
	});
});

describe('what throws when it is read is refused', () => {
	const thrower = () => {
		throw new TypeError('not yours');
	};
	const getter = (name: string, of: object) =>
		Object.defineProperty(of, name, { get: thrower, enumerable: true });
	const revoked = () => {
		const { proxy, revoke } = Proxy.revocable([], {});
		revoke();
		return proxy;
	};
	it.each<[string, () => unknown]>([
		['an option', () => parseAttachOptions(getter('owner', {}))],
		['a session', () => parseBroadcast(getter('0', ['one']), 'data', undefined)],
		['a broadcast', () => parseBatch([getter('data', { sessions: [] })])],
		['a notification', () => parseNotifications([getter('method', { jsonrpc: '2.0' })])],
		[
			'something in a notification',
			() => parseNotifications([{ ...LIST_CHANGED, params: { of: getter('it', {}) } }]),
		],
		['the length of an array', () => parseQuestions(revoked())],
		['an array', () => parseBroadcast(revoked(), 'data', undefined)],
		['the prototype', () => parseSubscription(revoked())],
		['the class', () => parseOwner(Object.create(getter('constructor', {})))],
	])('%s', (_, parse) => {
		expect(parse).toThrow(/^INVALID_ARGUMENT: /);
	});
});

it('an error text is short, however long the key that is not known', () => {
	expect(() => parseDetachOptions({ ['x'.repeat(1e6)]: 1 })).toThrow(/^.{200,500}$/);
});

describe('a BigInt is refused without being written in decimal', () => {
	const DIGITS = 18_446_744_073_709_551_616n;
	it.each<[string, () => unknown]>([
		['an owner', () => parseOwner(DIGITS)],
		['options', () => parseAttachOptions(DIGITS)],
		['an option', () => parseBeginOptions({ account: DIGITS })],
		['the payload of a broadcast', () => parseBroadcast([], DIGITS, undefined)],
		['one of a batch', () => parseBatch([DIGITS])],
		['a notification', () => parseNotifications([DIGITS])],
		[
			'the method of a notification',
			() => parseNotifications([{ ...LIST_CHANGED, method: DIGITS }]),
		],
		['the time of a question', () => parseQuestions([{ id: 'x', timeout: DIGITS }])],
		['the id of a subscription', () => parseSubscription({ id: DIGITS })],
		[
			'a resource',
			() => parseSubscription({ id: 1, origin: 'a', filters: { resourceSubscriptions: [DIGITS] } }),
		],
		['the id of a target', () => parseUnsubscribe({ origin: 'a', id: DIGITS }, 'closed')],
	])('%s', (_, parse) => {
		expect(parse).toThrow(/^INVALID_ARGUMENT: /);
		expect(parse).not.toThrow(/18446744073709551616/);
	});
});

it('an event id that is longer than any of ours stands for an unknown one, and is not kept', () => {
	const long = { lastEventId: 'x'.repeat(1_000_000) };
	expect(parseAttachOptions(long)).toEqual({ lastEventId: '' });
	expect(parseSubscribeOptions(long)).toEqual({ lastEventId: '' });
	const longest = '99999.abcdefgh.999999999999999';
	expect(parseAttachOptions({ lastEventId: longest })).toEqual({ lastEventId: longest });
});
