import {
	abortAllDurableObjects,
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { openSocket } from '../../src/advanced.ts';
import type { SyncLayer } from '../../src/index.ts';
import { codeOf } from '../support/codes.ts';
import { Wire } from '../support/socket.ts';
import { NoLogSyncLayer } from '../support/worker/worker.ts';

const [ALICE, BOB] = ['a'.repeat(43), 'b'.repeat(43)];

let name: string;
beforeEach(() => {
	name = crypto.randomUUID();
});
const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);

/** All that a stream of the session gets that opens now. */
async function heard(of: DurableObjectStub<SyncLayer>, session: string): Promise<string[]> {
	const wire = await Wire.open(of, session);
	await of.broadcast([session], 'the end');
	await vi.waitFor(() => expect(wire.received.at(-1)).toBe('the end'));
	return wire.received.slice(0, -1);
}

describe('a session that expired', () => {
	it('leaves nothing to the next owner of its id', async () => {
		const short = env.SHORT_SESSIONS.getByName(name);
		await short.begin('one', ALICE);
		await short.broadcast(['one'], 'a secret of Alice');
		await evictDurableObject(short, { webSockets: 'close' });
		await runInDurableObject(short, (_, { storage }) => {
			storage.sql.exec('UPDATE tmcp_sessions SET expires_at = 1');
		});
		await short.begin('one', BOB);
		expect(await heard(short, 'one')).toEqual([]);
	});
});

describe('a session that lives', () => {
	it('keeps its place as long, also where its last sign of life was not written', async () => {
		const forgetful = env.FORGETFUL.getByName(name);
		const pass = (ms: number) =>
			runInDurableObject(forgetful, (_, { storage }) => {
				storage.sql.exec('UPDATE tmcp_sessions SET expires_at = expires_at - ?', ms);
			});
		await forgetful.broadcast(undefined, 'before');
		await forgetful.begin('one', ALICE);
		await pass(90);
		expect(await forgetful.admit('one', ALICE)).toBe(true);
		await pass(900);
		await forgetful.broadcast(undefined, 'to all');
		await runDurableObjectAlarm(forgetful);
		expect(await forgetful.admit('one', ALICE)).toBe(true);
		expect(await heard(forgetful, 'one')).toEqual(['to all']);
	});

	it('expires in its time when its stream was cut off as none of ours', async () => {
		await object().begin('one', ALICE);
		await Wire.open(object(), 'one');
		await runInDurableObject(object(), (_, state) => {
			for (const socket of state.getWebSockets('one')) socket.serializeAttachment('damaged');
		});
		expect(await object().detach('one')).toBe(false);
		expect(await object().has('one')).toBe(false);
		const [row] = await runInDurableObject(object(), (_, { storage }) =>
			storage.sql.exec('SELECT expires_at FROM tmcp_sessions').toArray(),
		);
		expect(row?.['expires_at']).toBeGreaterThan(Date.now());
	});
});

describe('a session whose place is forgotten', () => {
	/** It was away for so long that its place goes before what is sent to it now. */
	async function sentBefore(): Promise<void> {
		const wire = await Wire.open(object(), 'one');
		wire.socket.close();
		await vi.waitFor(async () => expect(await object().has('one')).toBe(false));
		await evictDurableObject(object(), { webSockets: 'close' });
		await runInDurableObject(object(), (_, { storage }) => {
			storage.sql.exec('UPDATE tmcp_sessions SET expires_at = 1');
		});
		await object().broadcast(['two'], 'other');
		expect(await object().broadcast(['one'], 'secret')).toMatchObject({ waiting: 1 });
		await runInDurableObject(object(), (instance) => instance.alarm());
		const kept = await runInDurableObject(object(), (_, { storage }) =>
			storage.sql.exec("SELECT state FROM tmcp_sessions WHERE session_id = 'one'").toArray(),
		);
		expect(kept).toEqual([{ state: 'begun' }]);
	}

	it('gets what was sent to it by name all the same', async () => {
		await sentBefore();
		expect(await heard(object(), 'one')).toEqual(['secret']);
	});

	it('leaves nothing of that when it ends', async () => {
		await sentBefore();
		await object().end('one');
		expect(await heard(object(), 'one')).toEqual([]);
	});
});

describe('a stream that is detached', () => {
	it('while its socket closes already loses nothing that is sent after that', async () => {
		const wire = await Wire.open(object(), 'one');
		wire.socket.send('It must not speak.');
		await object().detach('one');
		await wire.closed;
		await object().broadcast(['one'], 'waits');
		expect(await heard(object(), 'one')).toEqual(['waits']);
	});

	it('may still say how far its client came', async () => {
		const connectionId = crypto.randomUUID();
		await Wire.openAgain(object(), 'one');
		(await openSocket(object(), await object().attach('one', { connectionId }))).accept();
		for (const data of ['a', 'b', 'c']) await object().broadcast(['one'], data);
		await object().detach('one');
		await object().detach('one', { connectionId, position: 1 });
		expect(await heard(object(), 'one')).toEqual(['b', 'c']);
	});
});

describe('a stream between two sockets', () => {
	async function cutOff(): Promise<string> {
		const connectionId = crypto.randomUUID();
		(await openSocket(object(), await object().attach('one', { connectionId }))).accept();
		await abortAllDurableObjects();
		return connectionId;
	}

	it('stays away when it was detached, though the object slept since', async () => {
		const connectionId = await cutOff();
		await object().detach('one');
		await evictDurableObject(object(), { webSockets: 'close' });
		expect(await codeOf(() => object().attach('one', { connectionId, resume: true }))).toBe(
			'STREAM_DETACHED',
		);
	});

	it('comes back to an object that has a log only since', async () => {
		const connectionId = await cutOff();
		// As if the one before had none.
		await runInDurableObject(object(), (_, state) => void new NoLogSyncLayer(state, env));
		await evictDurableObject(object(), { webSockets: 'close' });
		expect(
			await codeOf(() => object().attach('one', { connectionId, resume: true })),
		).toBeUndefined();
	});
});

it('a payload over 2 MB is missed by all that are known and away', async () => {
	await object().begin('one', ALICE);
	await Wire.open(object(), 'two');
	expect(await object().broadcast(undefined, 'x'.repeat(2_000_000))).toEqual({
		delivered: 1,
		waiting: 0,
		missed: 1,
	});
});

it('how many wait is right after each change', async () => {
	const counted = async () => (await object().stats()).log?.waiting;
	expect(await counted()).toBe(0);
	for (const session of ['one', 'two']) await object().begin(session, ALICE);
	expect(await counted()).toBe(2);
	const wire = await Wire.open(object(), 'one');
	expect(await counted()).toBe(1);
	await Wire.open(object(), 'one');
	await Wire.open(object(), 'three');
	await wire.closed;
	expect(await counted()).toBe(1);
	await object().detach('three');
	expect(await counted()).toBe(2);
	await object().end('two');
	await object().end('one');
	expect(await counted()).toBe(1);
	await evictDurableObject(object(), { webSockets: 'close' });
	expect(await counted()).toBe(1);
});

it('a session with an open stream is its owner’s, however long ago its row was renewed', async () => {
	await object().begin('owned', 'o'.repeat(43));
	await Wire.open(object(), 'owned');
	await runInDurableObject(object(), (_, { storage }) =>
		storage.sql.exec("UPDATE tmcp_sessions SET expires_at = 0 WHERE session_id = 'owned'"),
	);
	await evictDurableObject(object(), { webSockets: 'hibernate' });
	expect(await codeOf(() => object().begin('owned', 'x'.repeat(43)))).toBe('INVALID_ARGUMENT');
	expect(await object().admit('owned', 'o'.repeat(43))).toBe(true);
});
