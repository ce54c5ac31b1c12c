import {
	abortAllDurableObjects,
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { openSocket, type SyncLayer } from '../../src/index.ts';
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
		await short.register('one', ALICE);
		await short.broadcast(['one'], 'a secret of Alice');
		await runInDurableObject(short, (_, { storage }) => {
			storage.sql.exec('UPDATE tmcp_registrations SET expires_at = 1');
		});
		await short.register('one', BOB);
		expect(await heard(short, 'one')).toEqual([]);
	});
});

describe('a session that lives', () => {
	it('keeps its place as long, also where its last sign of life was not written', async () => {
		const forgetful = env.FORGETFUL.getByName(name);
		const pass = (ms: number) =>
			runInDurableObject(forgetful, (_, { storage }) => {
				storage.sql.exec('UPDATE tmcp_sessions SET at = at - ?', ms);
				storage.sql.exec('UPDATE tmcp_registrations SET expires_at = expires_at - ?', ms);
			});
		await forgetful.broadcast(undefined, 'before');
		await forgetful.register('one', ALICE);
		await pass(90);
		expect(await forgetful.admits('one', ALICE)).toBe(true);
		await pass(900);
		await forgetful.broadcast(undefined, 'to all');
		await runDurableObjectAlarm(forgetful);
		expect(await forgetful.admits('one', ALICE)).toBe(true);
		expect(await heard(forgetful, 'one')).toEqual(['to all']);
	});

	it('expires in its time when its stream was cut off as none of ours', async () => {
		await object().register('one', ALICE);
		await Wire.open(object(), 'one');
		await runInDurableObject(object(), (_, state) => {
			for (const socket of state.getWebSockets('one')) socket.serializeAttachment('damaged');
		});
		expect(await object().has('one')).toBe(false);
		const [row] = await runInDurableObject(object(), (_, { storage }) =>
			storage.sql.exec('SELECT expires_at FROM tmcp_registrations').toArray(),
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
		await runInDurableObject(object(), (_, { storage }) => {
			storage.sql.exec('UPDATE tmcp_sessions SET at = at - ?', 8.5 * 24 * 60 * 60 * 1000);
		});
		await object().broadcast(['two'], 'other');
		expect(await object().broadcast(['one'], 'secret')).toMatchObject({ waiting: 1 });
		await runInDurableObject(object(), (instance) => instance.alarm());
		const places = await runInDurableObject(object(), (_, { storage }) =>
			storage.sql.exec("SELECT * FROM tmcp_sessions WHERE session_id = 'one'").toArray(),
		);
		expect(places).toEqual([]);
	}

	it('gets what was sent to it by name all the same', async () => {
		await sentBefore();
		expect(await heard(object(), 'one')).toEqual(['secret']);
	});

	it('leaves nothing of that when it ends', async () => {
		await sentBefore();
		await object().detach('one', { forget: true });
		const events = await runInDurableObject(object(), (_, { storage }) =>
			storage.sql.exec('SELECT * FROM tmcp_events').toArray(),
		);
		expect(JSON.stringify(events)).not.toMatch(/secret|one/);
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
			'STREAM_SUPERSEDED',
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
	await object().register('one', ALICE);
	await Wire.open(object(), 'two');
	expect(await object().broadcast(undefined, 'x'.repeat(2_000_000))).toEqual({
		delivered: 1,
		waiting: 0,
		missed: 1,
	});
});

it('how many wait is right after each change', async () => {
	const waiting = async () => (await object().broadcast(undefined, 'x')).waiting;
	const counted = async () => (await object().stats()).log?.waiting;
	expect(await waiting()).toBe(0);
	for (const session of ['one', 'two']) await object().register(session, ALICE);
	expect(await waiting()).toBe(2);
	const wire = await Wire.open(object(), 'one');
	expect(await waiting()).toBe(1);
	await Wire.open(object(), 'one');
	await Wire.open(object(), 'three');
	await wire.closed;
	expect(await waiting()).toBe(1);
	await object().detach('three');
	expect(await waiting()).toBe(2);
	await object().detach('two', { forget: true });
	await object().detach('one', { forget: true });
	expect(await waiting()).toBe(1);
	await evictDurableObject(object(), { webSockets: 'close' });
	expect(await counted()).toBe(1);
});
