import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type SyncLayer, CloseCode } from '../../src/index.ts';
import { Wire } from '../support/socket.ts';

const EVENTS = 500;
const SESSIONS = 300;
/** Rows of a few lookups, and far less than there are events or sessions. */
const FEW = 25;

let name: string;
const object = (): DurableObjectStub<SyncLayer> => env.TMCP_DURABLE_OBJECT.getByName(name);

/** What the object asked of its SQLite. */
const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];

/** An object with events that all were handed over, and with sessions that are away. */
beforeEach(async () => {
	name = crypto.randomUUID();
	await Wire.open(object(), 'busy');
	await runInDurableObject(object(), (instance, { storage }) => {
		for (let session = 0; session < SESSIONS; session++) {
			instance.begin(`away-${session}`, 'o'.repeat(43));
		}
		for (let event = 0; event < EVENTS; event++) {
			const id = crypto.randomUUID();
			instance.broadcast(event % 2 === 0 ? undefined : ['busy'], `event ${event}`, { id });
		}
		// As if it had happened before: what was sent in the last minute is looked at for its ids.
		storage.sql.exec('UPDATE tmcp_events SET at = at - 120_000');
		const prototype: SqlStorage = Object.getPrototypeOf(storage.sql);
		const { exec } = prototype;
		vi.spyOn(prototype, 'exec').mockImplementation(function (this: SqlStorage, ...of) {
			const cursor = exec.apply(this, of);
			cursors.push(cursor);
			return cursor as never;
		});
	});
	cursors.length = 0;
});
afterEach(() => {
	vi.restoreAllMocks();
});

/** Rows that were read and written since it was asked last. */
function rows(): Promise<number> {
	return runInDurableObject(object(), () => {
		expect(cursors.length).toBeGreaterThan(0);
		const counts = cursors.splice(0).map(({ rowsRead, rowsWritten }) => rowsRead + rowsWritten);
		return counts.reduce((sum, count) => sum + count, 0);
	});
}

it('an object that wakes reads a few rows, whatever is in its log', async () => {
	await evictDurableObject(object(), { webSockets: 'hibernate' });
	await object().has('busy');
	expect(await rows()).toBeLessThan(FEW);
});

it('so does one whose streams are all gone', async () => {
	await evictDurableObject(object(), { webSockets: 'close' });
	await object().has('busy');
	expect(await rows()).toBeLessThan(FEW);
});

it('a message costs a few rows, whoever is away', async () => {
	await object().broadcast(['busy'], 'x', { id: crypto.randomUUID() });
	expect(await rows()).toBeLessThan(FEW);
	await object().broadcast(['away-1'], 'x', { id: crypto.randomUUID() });
	expect(await rows()).toBeLessThan(FEW);
});

it('the first stream of a session costs a few rows, and so do its end and the end of the session', async () => {
	const wire = await Wire.open(object(), 'new');
	expect(await rows()).toBeLessThan(FEW);
	wire.socket.close(CloseCode.clientGone, '');
	await vi.waitFor(async () => expect(await object().has('new')).toBe(false));
	expect(await rows()).toBeLessThan(FEW);
	await object().end('new');
	expect(await rows()).toBeLessThan(FEW);
});

it('a stream that comes back costs what was sent since its place', async () => {
	const { log } = await object().attach('busy');
	await Wire.open(object(), 'busy', `${log?.eventIdPrefix}${EVENTS - 20}`);
	expect(await rows()).toBeLessThan(20 + FEW);
});

it('a message to all costs a few rows, however many are away, also the first one after the object slept', async () => {
	await evictDurableObject(object(), { webSockets: 'hibernate' });
	for (let round = 0; round < 2; round++) {
		await object().broadcast(undefined, 'x', { id: crypto.randomUUID() });
		expect(await rows()).toBeLessThan(FEW);
	}
	expect((await object().stats()).log).toMatchObject({ waiting: SESSIONS });
});

it('a first stream, and the end of a session, cost a few rows, however many messages wait for one that is away', async () => {
	const gone = await Wire.open(object(), 'gone');
	gone.socket.close();
	await vi.waitFor(async () => expect(await object().has('gone')).toBe(false));
	await runInDurableObject(object(), (instance) => {
		for (let event = 0; event < EVENTS; event++) instance.broadcast(['busy', 'gone'], 'x');
	});
	await rows();
	await Wire.open(object(), 'new');
	expect(await rows()).toBeLessThan(FEW);
	await object().end('new');
	expect(await rows()).toBeLessThan(FEW);
});
