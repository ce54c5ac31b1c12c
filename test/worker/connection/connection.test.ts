import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Connection } from '../../../src/worker/connection/connection.ts';
import type { LogPosition } from '../../../src/advanced.ts';
import type { SubscriptionEnd } from '../../../src/index.ts';
import { SessionManagerError } from '../../../src/errors.ts';
import { CloseCode } from '../../../src/wire/close-codes.ts';
import { encodeFrame } from '../../../src/wire/frames.ts';
import { type Opened, SubscriptionRefused } from '../../../src/worker/connection/open-socket.ts';

const PREFIX = '0.abcdefgh.';
const ENDING = CloseCode.superseded;
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

/** Tells all that it is told, and connects as one answer after another says. */
class Witness extends Connection {
	readonly told: unknown[] = [];
	readonly asked: [string | undefined, boolean][] = [];
	readonly open = this.connectFirst.bind(this);
	#answers: (() => Promise<Opened>)[];
	#prefix: string | undefined;

	constructor(answers: (() => Promise<Opened>)[]) {
		super();
		this.#answers = answers;
	}

	async start(lastEventId?: string): Promise<void> {
		await this.open(lastEventId);
		this.accept();
	}

	take = () => this.accept();
	leave = (taken: number | undefined) => this.close(taken);
	wait = (taken: number) => this.pause(taken);
	goOn = () => this.comeBack();
	override get subject() {
		return { side: 'worker', stream: 'session', home: undefined, session: undefined } as const;
	}

	protected async connect(lastEventId: string | undefined, resume: boolean): Promise<Opened> {
		this.asked.push([lastEventId, resume]);
		const answer = this.#answers[this.asked.length - 1];
		if (!answer) throw new Error('There is no further answer.');
		return answer();
	}

	protected onOpen(log: LogPosition | undefined): void {
		this.#prefix = log?.eventIdPrefix;
		this.told.push(`open after ${log?.after}`);
	}

	protected onEvent(frame: string, seq: number | undefined): void {
		const id = seq === undefined ? undefined : `${this.#prefix}${seq}`;
		this.told.push(`${id} ${frame.slice(frame.indexOf('\n') + 1)}`);
	}

	protected onPosition(seq: number): void {
		this.told.push(`${this.#prefix}${seq}`);
	}

	protected onPause(): void {
		this.told.push('window full');
	}

	protected onFailure(error: unknown, failures: number, isLast: boolean): void {
		this.told.push(`${String(error)} ${failures}${isLast ? ', the last' : ''}`);
	}

	protected onEnd(end: SubscriptionEnd): void {
		this.told.push(`end: ${end}`);
	}
}

function connectionOf(...answers: (() => Promise<Opened>)[]) {
	const connection = new Witness(answers);
	const { told, asked } = connection;
	return { connection, told, asked, start: (id?: string) => connection.start(id) };
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
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: cancelled'));
		expect(told).toEqual([
			'open after 3',
			`${PREFIX}4 x`,
			`${PREFIX}5 x`,
			'open after 5',
			`${PREFIX}6 y`,
			'end: cancelled',
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
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: cancelled'));
		expect(told).toEqual([
			'open after 0',
			`${PREFIX}7 x`,
			'open after 0',
			'0.another1.1 y',
			'end: cancelled',
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
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: cancelled'));
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
	it.each([
		['superseded', CloseCode.superseded, 'cancelled'],
		['detached', CloseCode.detached, 'cancelled'],
		['closed', CloseCode.subscriptionClosed, 'closed'],
		['cancelled', CloseCode.subscriptionCancelled, 'cancelled'],
	])('where its socket is closed as %s', async (_, code, end) => {
		const first = pair();
		const { start, told } = connectionOf(giving(first));
		await start();
		first.close(code);
		await vi.waitFor(() => expect(told).toEqual(['open after 0', `end: ${end}`]));
	});

	it.each([
		[new SubscriptionRefused('closed'), 'closed'],
		[new SubscriptionRefused('duplicate'), 'cancelled'],
		[new SessionManagerError('STREAM_SUPERSEDED', 'newer'), 'cancelled'],
		[new SessionManagerError('STREAM_DETACHED', 'ended'), 'cancelled'],
	])('where it is told so when it comes back: %s', async (error, end) => {
		const first = pair();
		const { start, told } = connectionOf(giving(first), async () => {
			throw error;
		});
		await start();
		first.close(AWAY);
		await vi.waitFor(() => expect(told).toEqual(['open after 0', `end: ${end}`]));
	});

	it.each(['INVALID_ARGUMENT', 'INVALID_SESSION_ID', 'SQLITE_MISSING'] as const)(
		'where nothing can bring it back: %s',
		async (code) => {
			const first = pair();
			const error = new SessionManagerError(code, 'no');
			const { start, told, asked } = connectionOf(giving(first), () => Promise.reject(error));
			await start();
			first.close(AWAY);
			await vi.waitFor(() =>
				expect(told).toEqual(['open after 0', `${String(error)} 1, the last`, 'end: cancelled']),
			);
			expect(asked).toHaveLength(2);
		},
	);

	it('where the object is full, after five tries', async () => {
		const first = pair();
		const full = () => Promise.reject(new SessionManagerError('OBJECT_FULL', 'no room'));
		const { start, told, asked } = connectionOf(giving(first), full, full, full, full, full);
		await start();
		first.close(AWAY);
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: cancelled'));
		expect(asked).toHaveLength(6);
	});

	it('not at once where the object is full after it was away', async () => {
		const first = pair();
		const fails = () => Promise.reject(new Error('No.'));
		const full = () => Promise.reject(new SessionManagerError('OBJECT_FULL', 'no room'));
		const { start, told } = connectionOf(
			giving(first),
			...Array(4).fill(fails),
			full,
			giving(pair()),
		);
		await start();
		first.close(AWAY);
		await vi.waitFor(() => expect(told.at(-1)).toContain('open after'), 10_000);
	}, 15_000);

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
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: cancelled'));
		const failures = ['Error: No. 1', 'Error: No. 2'];
		const again = [...failures, 'open after 0'];
		expect(told).toEqual(['open after 0', ...again, ...again, 'end: cancelled']);
	});
});

describe('a connection that is closed', () => {
	it('tells the place of what was taken', async () => {
		const only = pair();
		const { start, connection, told } = connectionOf(giving(only));
		await start();
		connection.leave(7);
		expect(await only.closed).toEqual({ code: CloseCode.clientGone, reason: '7' });
		expect(told).toEqual(['open after 0']);
	});

	const DISCARDED = { code: CloseCode.clientGone, reason: '0' };

	it('while it opens lets go of the socket that it is given', async () => {
		const only = pair();
		const answer = Promise.withResolvers<Opened>();
		const { connection, told } = connectionOf(() => answer.promise);
		const opening = connection.open(undefined);
		connection.leave(undefined);
		answer.resolve(only.opened);
		await opening;
		connection.take();
		expect(await only.closed).toEqual(DISCARDED);
		expect(told).toEqual([]);
	});

	it('before it takes what comes lets go of its socket', async () => {
		const only = pair();
		const { connection, told } = connectionOf(giving(only));
		await connection.open(undefined);
		connection.leave(undefined);
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
		connection.leave(7);
		answer.resolve(second.opened);
		expect(await second.closed).toEqual({ ...DISCARDED, reason: '7' });
		expect(told).toEqual(['open after 0']);
	});
});

describe('a connection whose client reads slowly', () => {
	it('lets go of its socket with what was taken, and comes back after what it received', async () => {
		const [first, second] = [pair(), pair(2)];
		const { start, connection, told, asked } = connectionOf(giving(first), giving(second));
		await start();
		for (const seq of [1, 2]) first.send(seq, 'x');
		await vi.waitFor(() => expect(told).toHaveLength(3));
		connection.wait(1);
		first.send(3, 'not taken');
		expect(await first.closed).toEqual({ code: CloseCode.clientGone, reason: '1' });
		connection.goOn();
		for (const seq of [2, 3]) second.send(seq, 'y');
		second.close(ENDING);
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: cancelled'));
		expect(asked[1]).toEqual([`${PREFIX}2`, true]);
		expect(told.slice(3)).toEqual(['open after 2', `${PREFIX}3 y`, 'end: cancelled']);
	});

	it('is told where its window is full, and comes back only when it is asked to', async () => {
		const [first, second] = [pair(), pair(1)];
		const { start, connection, told, asked } = connectionOf(giving(first), giving(second));
		await start();
		first.send(1, 'x');
		first.close(CloseCode.windowFull);
		await vi.waitFor(() => expect(told.at(-1)).toBe('window full'));
		expect(asked).toHaveLength(1);
		connection.goOn();
		await vi.waitFor(() => expect(asked).toHaveLength(2));
		second.close(ENDING);
	});

	it('does not spin where a window is full of nothing', async () => {
		const [first, second] = [pair(), pair()];
		const { start, told } = connectionOf(giving(first), giving(second));
		await start();
		first.close(CloseCode.windowFull);
		second.close(ENDING);
		await vi.waitFor(() => expect(told.at(-1)).toBe('end: cancelled'));
		expect(told).not.toContain('window full');
	});

	it('is closed for good while it has no socket', async () => {
		const first = pair();
		const { start, connection, asked } = connectionOf(giving(first));
		await start();
		connection.wait(0);
		connection.leave(0);
		connection.goOn();
		expect(await first.closed).toEqual({ code: CloseCode.clientGone, reason: '0' });
		expect(asked).toHaveLength(1);
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
	await vi.waitFor(() => expect(told.at(-1)).toBe('end: cancelled'));
	expect(told).toEqual(['open after 0', 'open after 0', 'end: cancelled']);
	expect(asked).toHaveLength(2);
});
