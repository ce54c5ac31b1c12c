import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Connection } from '../../../src/worker/connection/connection.ts';
import { CloseCode, encodeFrame } from '../../../src/wire/protocol.ts';
import type { Opened } from '../../../src/worker/connection/open-socket.ts';

const PREFIX = '0.abcdefgh.';
const ENDING = 4001;
const AWAY = 1001;

beforeEach(() => {
	// It comes back at once.
	vi.spyOn(Math, 'random').mockReturnValue(0);
});
afterEach(() => {
	vi.restoreAllMocks();
});

/** A socket as `connect` gives it, and the object's end of it. */
function pair(after = 0, eventIdPrefix = PREFIX) {
	const { 0: socket, 1: far } = new WebSocketPair();
	const closed = new Promise<{ code: number; reason: string }>((resolve) => {
		far.addEventListener('close', ({ code, reason }) => resolve({ code, reason }));
	});
	far.accept();
	const opened: Opened = { socket, log: { eventIdPrefix, after, recovered: true } };
	const send = (seq: number, data: string) => far.send(encodeFrame({ seq, data }));
	return { opened, closed, send, close: (code: number) => far.close(code) };
}

/** A connection whose tries to connect are answered one after another, and all that it told. */
function connectionOf(...answers: (() => Promise<Opened | { end: string }>)[]) {
	const told: unknown[] = [];
	const asked: [string | undefined, boolean][] = [];
	const connection = new Connection<string>({
		async connect(lastEventId, resume) {
			asked.push([lastEventId, resume]);
			const answer = answers[asked.length - 1];
			if (!answer) throw new Error('There is no further answer.');
			return answer();
		},
		endOf: (code) => (code === ENDING ? 'ended' : undefined),
		onOpen: (log) => void told.push(`open after ${log?.after}`),
		onEvent: ({ data, id }) => void told.push(`${id} ${data}`),
		onPlace: ({ id }) => void told.push(`${id}`),
		onFailure: (error, failures) => {
			told.push(`${String(error)} ${failures}`);
			return failures === 3 ? 'given up' : undefined;
		},
		onEnd: (end) => void told.push(`end: ${end}`),
	});
	const start = async (lastEventId?: string) => {
		expect(await connection.open(lastEventId)).toBeUndefined();
		connection.accept();
	};
	return { connection, told, asked, start };
}

const giving =
	({ opened }: { opened: Opened }) =>
	async () =>
		opened;

describe('what comes on a connection', () => {
	it('is told once, though it is handed over again', async () => {
		const [first, second] = [pair(3), pair(5)];
		const { start, told } = connectionOf(giving(first), giving(second));
		await start();
		for (const seq of [3, 4, 5, 5, 4]) first.send(seq, 'x');
		first.close(AWAY);
		for (const seq of [4, 5, 6]) second.send(seq, 'y');
		second.close(ENDING);
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: ended'));
		expect(told).toEqual([
			'open after 3',
			`${PREFIX}4 x`,
			`${PREFIX}5 x`,
			'open after 5',
			`${PREFIX}6 y`,
			'end: ended',
		]);
	});

	it('is all told where another log takes the place of the one before', async () => {
		const [first, second] = [pair(), pair(0, '0.another1.')];
		const { start, told } = connectionOf(giving(first), giving(second));
		await start();
		first.send(7, 'x');
		first.close(AWAY);
		second.send(1, 'y');
		second.close(ENDING);
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: ended'));
		expect(told).toEqual([
			'open after 0',
			`${PREFIX}7 x`,
			'open after 0',
			'0.another1.1 y',
			'end: ended',
		]);
	});

	it('counts for where it comes back, and so does a place alone, which never leads backwards', async () => {
		const pairs = [pair(2), pair(7), pair(7), pair(9)] as const;
		const { start, asked, told } = connectionOf(...pairs.map(giving));
		await start('what the client had');
		pairs[0].send(7, '');
		pairs[0].close(AWAY);
		pairs[1].send(5, '');
		pairs[1].close(AWAY);
		pairs[2].send(9, 'x');
		pairs[2].close(AWAY);
		pairs[3].close(ENDING);
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: ended'));
		expect(asked).toEqual([
			['what the client had', false],
			[`${PREFIX}7`, true],
			[`${PREFIX}7`, true],
			[`${PREFIX}9`, true],
		]);
		expect(told).toContain(`${PREFIX}9 x`);
	});
});

describe('a connection ends', () => {
	it('where it is told so instead of a first socket', async () => {
		const { connection, told } = connectionOf(async () => ({ end: 'never began' }));
		expect(await connection.open(undefined)).toBe('never began');
		connection.accept();
		expect([told, connection.isOpen]).toEqual([[], false]);
	});

	it('where it is told so when it comes back', async () => {
		const first = pair();
		const { start, told, connection } = connectionOf(giving(first), async () => ({ end: 'gone' }));
		await start();
		first.close(AWAY);
		await vi.waitFor(() => expect(told).toEqual(['open after 0', 'end: gone']));
		expect(connection.isOpen).toBe(false);
	});

	it('where it failed to come back too often', async () => {
		const first = pair();
		const fails = () => Promise.reject(new Error('No.'));
		const { start, told, asked } = connectionOf(giving(first), fails, fails, fails);
		await start();
		first.close(AWAY);
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: given up'));
		expect(told).toEqual([
			'open after 0',
			'Error: No. 1',
			'Error: No. 2',
			'Error: No. 3',
			'end: given up',
		]);
		expect(asked).toHaveLength(4);
	});

	it('not where it came back after it had failed, and is as patient the next time', async () => {
		const [first, second, third] = [pair(), pair(), pair()];
		const fails = () => Promise.reject(new Error('No.'));
		const { start, told } = connectionOf(
			giving(first),
			fails,
			fails,
			giving(second),
			fails,
			fails,
			giving(third),
		);
		await start();
		first.close(AWAY);
		second.close(AWAY);
		third.close(ENDING);
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: ended'));
		const failures = ['Error: No. 1', 'Error: No. 2'];
		const again = [...failures, 'open after 0'];
		expect(told).toEqual(['open after 0', ...again, ...again, 'end: ended']);
	});
});

describe('a connection that is closed', () => {
	it('tells the place of what was taken', async () => {
		const only = pair();
		const { start, connection, told } = connectionOf(giving(only));
		await start();
		connection.close(7);
		expect(await only.closed).toEqual({ code: CloseCode.clientGone, reason: '7' });
		expect(told).toEqual(['open after 0']);
	});

	const DISCARDED = { code: CloseCode.clientGone, reason: '0' };

	it('while it opens lets go of the socket that it is given', async () => {
		const only = pair();
		const answer = Promise.withResolvers<Opened>();
		const { connection, told } = connectionOf(() => answer.promise);
		const opening = connection.open(undefined);
		connection.close(undefined);
		answer.resolve(only.opened);
		await opening;
		connection.accept();
		expect(await only.closed).toEqual(DISCARDED);
		expect(told).toEqual([]);
	});

	it('before it takes what comes lets go of its socket', async () => {
		const only = pair();
		const { connection, told } = connectionOf(giving(only));
		await connection.open(undefined);
		connection.close(undefined);
		expect(await only.closed).toEqual(DISCARDED);
		expect(told).toEqual([]);
	});

	it('while it comes back lets go of the socket that it is given', async () => {
		const [first, second] = [pair(), pair()];
		const answer = Promise.withResolvers<Opened>();
		const { start, connection, told, asked } = connectionOf(giving(first), () => answer.promise);
		await start();
		first.close(AWAY);
		await vi.waitFor(() => expect(asked).toHaveLength(2));
		connection.close(7);
		answer.resolve(second.opened);
		expect(await second.closed).toEqual({ ...DISCARDED, reason: '7' });
		expect(told).toEqual(['open after 0']);
	});
});

it('a socket that tells of its end twice is replaced once', async () => {
	const [first, second] = [pair(), pair()];
	const answer = Promise.withResolvers<Opened>();
	const { start, told, asked } = connectionOf(giving(first), () => answer.promise);
	await start();
	first.opened.socket.dispatchEvent(new Event('error'));
	first.close(AWAY);
	await first.closed;
	answer.resolve(second.opened);
	second.close(ENDING);
	await vi.waitFor(() => expect(told.at(-1)).toBe('end: ended'));
	expect(told).toEqual(['open after 0', 'open after 0', 'end: ended']);
	expect(asked).toHaveLength(2);
});
