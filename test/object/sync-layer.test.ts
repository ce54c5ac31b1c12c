import { env } from 'cloudflare:workers';
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CloseCode, openSocket } from '../../src/advanced.ts';
import { MAX_BROADCAST_BYTES, type SyncLayer } from '../../src/index.ts';
import { claim, keyOf } from '../support/claims.ts';
import { codeOf } from '../support/codes.ts';
import { Wire } from '../support/socket.ts';

/** An object of its own for each test. */
let object: DurableObjectStub<SyncLayer>;

beforeEach(() => {
	object = env.TMCP_DURABLE_OBJECT.getByName(crypto.randomUUID());
});

describe('attach', () => {
	it('claims a session and answers plain data', async () => {
		const attached = await object.attach('one');
		expect(attached).toEqual({
			sessionId: 'one',
			connectionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
			ticket: expect.stringMatching(/^[0-9a-f-]{36}$/),
			ticketTtlMs: 5_000,
			supersedes: false,
			log: {
				eventIdPrefix: expect.stringMatching(/^0\.[0-9a-z]{8}\.$/),
				after: 0,
				recovered: true,
			},
		});
	});

	it('answers the key of the object where that is asked for', async () => {
		const { upgradeKey } = await object.attach('one', { withKey: true });
		expect(upgradeKey).toMatch(/^[\w-]{43}$/);
		expect(await object.attach('two', { withKey: true })).toMatchObject({ upgradeKey });
		expect(await object.attach('one', { withKey: false })).not.toHaveProperty('upgradeKey');
	});

	it('makes a UUID where no session id is given', async () => {
		const { sessionId } = await object.attach();
		expect(sessionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
	});

	it('says whether an open stream is superseded, and closes it when the new one opens', async () => {
		const older = await Wire.open(object, 'one');
		const attached = await object.attach('one');
		expect(attached.supersedes).toBe(true);
		expect(await object.has('one')).toBe(true);
		(await openSocket(object, attached)).accept();
		expect(await older.closed).toMatchObject({ code: CloseCode.superseded });
		expect(await object.stats()).toMatchObject({ streams: 1, sessions: 1 });
	});

	it('lets the newest of two claims in, whatever the order of their upgrades', async () => {
		const first = await object.attach('one');
		const second = await object.attach('one');
		(await openSocket(object, second)).accept();
		expect(await codeOf(() => openSocket(object, first))).toBe('STREAM_SUPERSEDED');
		expect(await object.stats()).toMatchObject({ streams: 1, sessions: 1 });
	});

	it('refuses what is no option, and a ticket that was used', async () => {
		const { ticket } = await object.attach('one');
		expect(await codeOf(() => object.attach('one', { ticket }))).toBe('INVALID_ARGUMENT');
		expect(await codeOf(() => object.attach('one', { ticket: 'guessable' }))).toBe(
			'INVALID_ARGUMENT',
		);
		expect(await codeOf(() => Reflect.apply(object.attach, object, ['one', { tickets: 1 }]))).toBe(
			'INVALID_ARGUMENT',
		);
	});
});

describe('the upgrade', () => {
	it('may arrive before the attach that makes its ticket', async () => {
		const ticket = crypto.randomUUID();
		const opening = openSocket(object, { ticket });
		await object.stats();
		await object.attach('one', { ticket });
		(await opening).accept();
		expect(await object.has('one')).toBe(true);
	});

	it('takes a ticket once', async () => {
		const attached = await object.attach('one');
		(await openSocket(object, attached)).accept();
		expect(await codeOf(() => openSocket(object, attached))).toBe('TICKET_REFUSED');
		expect(await object.stats()).toMatchObject({ streams: 1, sessions: 1 });
	});

	it('refuses a ticket that is older than 5 seconds', async () => {
		const attached = await object.attach('one');
		const later = Date.now() + attached.ticketTtlMs;
		const clock = vi.spyOn(Date, 'now').mockImplementation(() => later);
		expect(await codeOf(() => openSocket(object, attached))).toBe('TICKET_REFUSED');
		clock.mockRestore();
		expect(await object.has('one')).toBe(false);
	});

	it('refuses a ticket that nobody makes in time', async () => {
		const unknown = { ticket: crypto.randomUUID() };
		expect(await codeOf(() => openSocket(object, unknown))).toBe('TICKET_REFUSED');
		expect(await object.has('one')).toBe(false);
	});

	it.each([
		['a plain request', new Request('https://x/'), 426, 'INVALID_UPGRADE'],
		[
			'no ticket',
			new Request('https://x/?session_id=one', { headers: { upgrade: 'websocket' } }),
			403,
			'TICKET_REFUSED',
		],
		['a ticket that is none', upgradeRequest('ticket'), 403, 'TICKET_REFUSED'],
	])('answers %s with a clear 4xx and no socket', async (_, request, status, code) => {
		const response = await object.fetch(request);
		expect(response.status).toBe(status);
		expect(response.webSocket).toBeNull();
		expect(await response.json()).toMatchObject({ code, message: expect.stringMatching(/.{20}/) });
	});

	it('is refused after the session was detached', async () => {
		const attached = await object.attach('one');
		expect(await object.detach('one')).toBe(true);
		expect(await codeOf(() => openSocket(object, attached))).toBe('STREAM_DETACHED');
	});
});

describe('an upgrade with the key of the object', () => {
	const OWNER = 'o'.repeat(43);

	let key: string;
	beforeEach(async () => void (key = await keyOf(object)));

	it('opens the stream that it claims', async () => {
		const { status, webSocket } = await claim(object, key, { sessionId: 'one' });
		expect(status).toBe(101);
		webSocket?.accept();
		expect(await object.has('one')).toBe(true);
	});

	it.each([
		['a key of another length', 'k'],
		['another key', 'k'.repeat(43)],
		['no key', ''],
	])('is refused with %s', async (_, wrong) => {
		const response = await claim(object, wrong, { sessionId: 'one' });
		expect(response.status).toBe(403);
		expect(await response.json()).toMatchObject({ code: 'TICKET_REFUSED' });
		expect(await object.stats()).toMatchObject({ streams: 0 });
	});

	it.each<[string, object, string]>([
		['no session', {}, 'INVALID_SESSION_ID'],
		['no session id', { sessionId: 'a b' }, 'INVALID_SESSION_ID'],
		['an option that is none', { sessionId: 'one', tickets: 1 }, 'INVALID_ARGUMENT'],
		['a session of nobody', { sessionId: 'one', owner: OWNER }, 'STREAM_DETACHED'],
		['another’s session', { sessionId: 'owned', owner: 'x'.repeat(43) }, 'STREAM_DETACHED'],
		['an owned session without its owner', { sessionId: 'owned' }, 'STREAM_DETACHED'],
	])('is refused for %s', async (_, of, code) => {
		await object.begin('owned', OWNER);
		const response = await claim(object, key, of);
		expect(response.status).toBe(code === 'STREAM_DETACHED' ? 409 : 400);
		expect(response.webSocket).toBeNull();
		expect(await response.json()).toMatchObject({ code });
		expect(await object.stats()).toMatchObject({ streams: 0 });
	});

	it.each(['', ' ', 'null', '[]', '%', '%7B', 'true', '"x"'])('is refused for %j', async (text) => {
		const headers = { upgrade: 'websocket', 'x-tmcp-key': `${key} ${text}` };
		const response = await object.fetch('https://x/', { headers });
		expect(response.status).toBe(400);
		expect(await response.json()).toMatchObject({ code: expect.stringMatching(/^INVALID_/) });
	});

	it('takes an event id that no header could have', async () => {
		const response = await claim(object, key, { sessionId: 'one', lastEventId: '🙂\n' });
		expect(response.status).toBe(101);
	});

	it('makes a ticket for the same session worthless, and closes its stream', async () => {
		const wire = await Wire.open(object, 'one');
		const older = await object.attach('one');
		const { webSocket } = await claim(object, key, { sessionId: 'one' });
		webSocket?.accept();
		expect(await codeOf(() => openSocket(object, older))).toBe('STREAM_SUPERSEDED');
		expect(await wire.closed).toMatchObject({ code: CloseCode.superseded });
		expect(await object.stats()).toMatchObject({ streams: 1 });
	});

	it('is refused where it comes back late, and leaves a newer ticket alone', async () => {
		const connectionId = crypto.randomUUID();
		(await claim(object, key, { sessionId: 'one', connectionId })).webSocket?.accept();
		const newer = await object.attach('one');
		const late = await claim(object, key, { sessionId: 'one', connectionId, resume: true });
		expect(await late.json()).toMatchObject({ code: 'STREAM_SUPERSEDED' });
		(await openSocket(object, newer)).accept();
		expect(await object.stats()).toMatchObject({ streams: 1 });
	});

	it.each([
		['', env.TMCP_DURABLE_OBJECT],
		[' without a log', env.NO_LOG],
	])(
		'is refused where it is tried again because its answer was lost, and a newer stream is open%s',
		async (_, namespace) => {
			const of = namespace.getByName(crypto.randomUUID());
			const ofKey = await keyOf(of);
			const connectionId = crypto.randomUUID();
			const lost = await claim(of, ofKey, { sessionId: 'one', connectionId });
			lost.webSocket?.accept();
			const newer = await Wire.open(of, 'one');
			const again = await claim(of, ofKey, { sessionId: 'one', connectionId });
			expect(await again.json()).toMatchObject({ code: 'STREAM_SUPERSEDED' });
			await of.broadcast(['one'], 'hello');
			await vi.waitFor(() => expect(newer.received).toEqual(['hello']));
		},
	);

	it('leaves the stream before as it is where the object takes no further socket', async () => {
		const connectionId = crypto.randomUUID();
		(await claim(object, key, { sessionId: 'one', connectionId })).webSocket?.accept();
		await runInDurableObject(object, (_, state) => {
			vi.spyOn(state, 'acceptWebSocket').mockImplementationOnce(() => {
				throw new Error('There are too many.');
			});
		});
		expect((await claim(object, key, { sessionId: 'one' })).status).toBe(503);
		const back = await claim(object, key, { sessionId: 'one', connectionId, resume: true });
		expect(back.status).toBe(101);
	});

	it('is refused for a connection that was detached before', async () => {
		const connectionId = crypto.randomUUID();
		await object.detach('one', { connectionId });
		expect((await claim(object, key, { sessionId: 'one', connectionId })).status).toBe(409);
	});

	it('opens nothing in another object', async () => {
		const other = env.TMCP_DURABLE_OBJECT.getByName(crypto.randomUUID());
		expect((await claim(other, key, { sessionId: 'one' })).status).toBe(403);
	});
});

describe('detach', () => {
	it('closes the session’s stream and no other', async () => {
		const [one, two] = [await Wire.open(object, 'one'), await Wire.open(object, 'two')];
		expect(await object.detach('one')).toBe(true);
		expect(await one.closed).toMatchObject({ code: CloseCode.detached });
		expect(await object.has('one')).toBe(false);
		expect(await object.broadcast(undefined, 'still here')).toEqual({
			delivered: 1,
			missed: 0,
		});
		await vi.waitFor(() => expect(two.received).toEqual(['still here']));
		expect(await object.detach('one')).toBe(false);
	});

	it('with a connection id leaves a newer stream of the session alone', async () => {
		const older = await object.attach('one');
		(await openSocket(object, older)).accept();
		await Wire.open(object, 'one');
		expect(await object.detach('one', { connectionId: older.connectionId })).toBe(false);
		expect(await object.has('one')).toBe(true);
	});

	it('with a connection id leaves a newer claim of the session alone', async () => {
		const older = await object.attach('one');
		const newer = await object.attach('one');
		expect(await object.detach('one', { connectionId: older.connectionId })).toBe(false);
		(await openSocket(object, newer)).accept();
		expect(await object.has('one')).toBe(true);
	});
});

describe('has', () => {
	it('is false once the socket is gone, however it went', async () => {
		const wire = await Wire.open(object, 'one');
		expect(await object.has('one')).toBe(true);
		wire.socket.close();
		await vi.waitFor(async () => expect(await object.has('one')).toBe(false));
		expect(await object.stats()).toMatchObject({ streams: 0, sessions: 0 });
	});

	it('is true after hibernation', async () => {
		await Wire.open(object, 'one');
		await evictDurableObject(object, { webSockets: 'hibernate' });
		expect(await object.has('one')).toBe(true);
		expect(await object.stats()).toMatchObject({ streams: 1, sessions: 1 });
	});
});

describe('broadcast', () => {
	it('reaches the named sessions, each once, and says how many it missed', async () => {
		const [one, two] = [await Wire.open(object, 'one'), await Wire.open(object, 'two')];
		expect(await object.broadcast(['one', 'one', 'nobody'], 'hello')).toEqual({
			delivered: 1,
			waiting: 1,
			missed: 0,
		});
		await vi.waitFor(() => expect(one.received).toEqual(['hello']));
		expect(two.received).toEqual([]);
	});

	it('keeps its order', async () => {
		const wire = await Wire.open(object, 'one');
		const sent = Array.from({ length: 100 }, (_, i) => `message ${i}`);
		for (const data of sent) await object.broadcast(['one'], data);
		await vi.waitFor(() => expect(wire.received).toEqual(sent));
	});

	it('keeps its order and its streams through hibernation, three times in a row', async () => {
		const wires = [await Wire.open(object, 'one'), await Wire.open(object, 'two')];
		for (const round of [1, 2, 3]) {
			await evictDurableObject(object, { webSockets: 'hibernate' });
			expect(await object.broadcast(['one'], `to one ${round}`)).toEqual({
				delivered: 1,
				waiting: 0,
				missed: 0,
			});
			expect(await object.broadcast(undefined, `to all ${round}`)).toEqual({
				delivered: 2,
				missed: 0,
			});
		}
		await vi.waitFor(() => expect(wires[0]?.received).toHaveLength(6));
		await vi.waitFor(() =>
			expect(wires[1]?.received).toEqual(['to all 1', 'to all 2', 'to all 3']),
		);
	});

	it('costs no session its message where another’s socket is dead', async () => {
		const wires = await Promise.all(['a', 'b', 'c', 'd'].map((id) => Wire.open(object, id)));
		wires[1]?.socket.close();
		await runInDurableObject(object, (_, state) => {
			for (const socket of state.getWebSockets('c')) socket.close(1011, 'broken');
		});
		expect((await object.broadcast(undefined, 'x')).delivered).toBeGreaterThanOrEqual(2);
		expect(await object.broadcast(['c', 'b', 'a', 'd'], 'y')).toEqual({
			delivered: 2,
			waiting: 2,
			missed: 0,
		});
		await vi.waitFor(() =>
			expect([wires[0]?.received, wires[3]?.received]).toEqual([
				['x', 'y'],
				['x', 'y'],
			]),
		);
	});

	it.each([
		['a payload that is no string', [undefined, 1], 'INVALID_ARGUMENT'],
		['sessions that are no list', ['one', 'x'], 'INVALID_ARGUMENT'],
		['a session id with a space', [['one', 'a b'], 'x'], 'INVALID_SESSION_ID'],
		['an empty session id', [['one', ''], 'x'], 'INVALID_SESSION_ID'],
		['a session id of 257 characters', [['one', 'a'.repeat(257)], 'x'], 'INVALID_SESSION_ID'],
		['a session id that is no string', [['one', null], 'x'], 'INVALID_SESSION_ID'],
	])('refuses %s and sends nothing', async (_, args, code) => {
		const wire = await Wire.open(object, 'one');
		expect(await codeOf(() => Reflect.apply(object.broadcast, object, args))).toBe(code);
		await object.broadcast(['one'], 'next');
		await vi.waitFor(() => expect(wire.received).toEqual(['next']));
	});

	it('takes a payload of the largest size', async () => {
		const wire = await Wire.open(object, 'one');
		const data = 'x'.repeat(MAX_BROADCAST_BYTES - 100);
		expect(await object.broadcast(['one'], data)).toEqual({ delivered: 1, waiting: 0, missed: 0 });
		await vi.waitFor(() => expect(wire.received[0]?.length).toBe(data.length), 5_000);
	});
});

describe('broadcast of too much', () => {
	it.each([
		['by one byte', 'x'.repeat(MAX_BROADCAST_BYTES + 1)],
		['as the platform would still carry it', 'x'.repeat(32 * 1024 * 1024 - 1_024)],
	])('is refused by the object itself (%s), and nothing is sent', async (_, data) => {
		const wire = await Wire.open(object, 'one');
		expect(await codeOf(() => object.broadcast(undefined, data))).toBe('PAYLOAD_TOO_LARGE');
		await object.broadcast(['one'], 'next');
		await vi.waitFor(() => expect(wire.received).toEqual(['next']));
	});
});

describe('session ids', () => {
	it.each([...'!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~`'])('may contain %s', async (character) => {
		const id = `a${character}b`;
		const [wire, plain] = [await Wire.open(object, id), await Wire.open(object, 'ab')];
		expect(await object.has(id)).toBe(true);
		expect(await object.broadcast([id], 'for you')).toEqual({
			delivered: 1,
			waiting: 0,
			missed: 0,
		});
		await vi.waitFor(() => expect(wire.received).toEqual(['for you']));
		expect(plain.received).toEqual([]);
		expect(await object.detach(id)).toBe(true);
		expect(await object.has('ab')).toBe(true);
	});

	it('are never mistaken for one another: victim# is not victim', async () => {
		const victim = await Wire.open(object, 'victim');
		for (const id of ['victim#', 'victim%23', 'victim?', 'victim&session_id=victim', 'Victim']) {
			await Wire.open(object, id);
			await object.broadcast([id], 'not for the victim');
			await object.detach(id);
		}
		expect(await object.has('victim')).toBe(true);
		await object.broadcast(['victim'], 'for the victim');
		await vi.waitFor(() => expect(victim.received).toEqual(['for the victim']));
	});

	it('cannot name an internal tag', async () => {
		await Wire.open(object, 'one');
		const tags = await runInDurableObject(object, (_, state) =>
			state.getWebSockets().flatMap((socket) => state.getTags(socket)),
		);
		const internal = tags.filter((tag) => tag !== 'one');
		expect(internal).not.toEqual([]);
		for (const tag of internal)
			expect(await codeOf(() => object.attach(tag))).toBe('INVALID_SESSION_ID');
	});

	it('may have 256 characters and not one more', async () => {
		await Wire.open(object, 'a'.repeat(256));
		expect(await object.has('a'.repeat(256))).toBe(true);
		expect(await codeOf(() => object.attach('a'.repeat(257)))).toBe('INVALID_SESSION_ID');
	});

	it.each([['é'], ['a b'], ['\n'], [''], [null], [1], [{}]])(
		'may not be %j, for any method',
		async (id) => {
			for (const method of [object.attach, object.detach, object.has]) {
				expect(await codeOf(() => Reflect.apply(method, object, [id]))).toBe('INVALID_SESSION_ID');
			}
		},
	);
});

describe('sockets that are not ours', () => {
	it('are closed with a clear code when they are in the way, and cost nobody a message', async () => {
		const wire = await Wire.open(object, 'one');
		const foreign = await Wire.open(object, 'two');
		await runInDurableObject(object, (_, state) => {
			for (const socket of state.getWebSockets('two'))
				socket.serializeAttachment({ tmcp: 'damaged' });
		});
		expect(await object.broadcast(undefined, 'hello')).toEqual({
			delivered: 2,
			missed: 0,
		});
		await vi.waitFor(() => expect(wire.received).toEqual(['hello']));
		const back = await Wire.open(object, 'two');
		expect(await foreign.closed).toMatchObject({ code: CloseCode.foreignAttachment });
		await vi.waitFor(() => expect(back.received).toEqual(['hello']));
	});

	it('are cut off when they speak', async () => {
		const wire = await Wire.open(object, 'one');
		wire.socket.send('hello?');
		expect(await wire.closed).toMatchObject({ code: CloseCode.unexpectedMessage });
	});
});

/** @returns an upgrade without the query parameter */
function upgradeRequest(ticket: string): Request {
	return new Request('https://x/', { headers: { upgrade: 'websocket', 'x-tmcp-ticket': ticket } });
}
