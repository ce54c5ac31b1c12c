import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, expect, it } from 'vitest';
import type { SyncLayer } from '../../src/index.ts';
import { rewindSchema } from '../support/schemas.ts';
import { Wire } from '../support/socket.ts';
/**
 * What the version with the first schema wrote. `registered` and `open` were issued by a gateway; the streams of `away`,
 * `detached` and `ended` have gone as their names say, that of `open` was open; `named` has had none. Sent were `to all`,
 * then `to three` (`away`, `open`, `named`), `to one` (`registered`) and `to all again`.
 */
import written from './first-schema.json';

const OWNER = 'o'.repeat(43);
const EPOCH = written.keys.find(([key]) => key === 'tmcp:epoch')?.[1];

let name: string;
const object = (): DurableObjectStub<SyncLayer> => env.TMCP_DURABLE_OBJECT.getByName(name);

/** An object of the previous version, just as old as it was when that wrote it, to be started by this one. */
beforeEach(async () => {
	name = crypto.randomUUID();
	const age = Date.now() - written.writtenAt;
	const later = (column: string, value: string | number | null) =>
		['at', 'expires_at'].includes(column) && typeof value === 'number' ? value + age : value;
	await runInDurableObject(object(), (_, { storage }) => {
		const { sql, kv } = storage;
		const made = sql.exec<{ type: string; name: string }>(
			"SELECT type, name FROM sqlite_master WHERE type = 'table' AND name LIKE 'tmcp%'",
		);
		for (const { name: table } of made.toArray()) sql.exec(`DROP TABLE ${table}`);
		const keys = Array.from(kv.list(), ([key]) => key);
		for (const key of keys) kv.delete(key);
		for (const statement of written.schema) sql.exec(statement);
		for (const [table, rows] of Object.entries(written.rows)) {
			for (const row of rows) {
				const columns = Object.entries<string | number | null>(row);
				sql.exec(
					`INSERT INTO ${table} VALUES (${columns.map(() => '?').join(', ')})`,
					...columns.map(([column, value]) => later(column, value)),
				);
			}
		}
		for (const [key, value] of written.keys) kv.put(String(key), value);
	});
	await evictDurableObject(object(), { webSockets: 'close' });
});

/** What comes on a session's next stream. */
async function heard(session: string, lastEventId?: string): Promise<string[]> {
	const wire = await Wire.open(object(), session, lastEventId);
	await object().broadcast([session], 'the end');
	await expect.poll(() => wire.received.at(-1)).toBe('the end');
	return wire.received.slice(0, -1);
}

it('every session gets what waits for it', async () => {
	expect(await heard('away')).toEqual(['to three', 'to all again']);
	expect(await heard('detached')).toEqual(['to all again']);
	expect(await heard('named')).toEqual(['to three', 'to all again']);
	expect(await heard('registered')).toEqual(['to all', 'to one', 'to all again']);
});

it('an ended session gets nothing', async () => {
	expect(await heard('ended')).toEqual([]);
});

it('a client that was connected resumes from its event id', async () => {
	expect(await heard('open', `0.${EPOCH}.1`)).toEqual(['to three', 'to all again']);
	expect(await heard('open', `0.${EPOCH}.2`)).toEqual(['to all again', 'the end']);
});

it('sessions belong to whom they belonged to', async () => {
	for (const session of ['registered', 'open']) {
		expect(await object().admit(session, OWNER)).toBe(true);
		expect(await object().admit(session, 'x'.repeat(43))).toBe(false);
	}
	expect(await object().admit('away', OWNER)).toBe(false);
});

it('a broadcast of the last minute is still known by its id', async () => {
	const { broadcast_id: id } = written.rows.tmcp_events[1] ?? {};
	expect(await object().broadcast(['away'], 'to three', { id: id ?? undefined })).toMatchObject({
		duplicate: true,
	});
});

it('nothing of the first schema is left', async () => {
	await object().has('away');
	const tables = await runInDurableObject(object(), (_, { storage }) =>
		storage.sql
			.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE name LIKE 'tmcp%'")
			.toArray()
			.map((row) => row.name),
	);
	expect(tables.toSorted()).toEqual([
		'tmcp_events',
		'tmcp_filters',
		'tmcp_losses',
		'tmcp_owners',
		'tmcp_questions',
		'tmcp_session_count',
		'tmcp_sessions',
		'tmcp_subscription_ends',
	]);
});

it('an object of the sixth schema still knows where it lost streams', async () => {
	await object().has('away');
	await runInDurableObject(object(), (_, { storage }) => {
		rewindSchema(storage, 6);
		storage.sql.exec(
			`INSERT INTO tmcp_events (seq, at, bytes, total, kind)
			SELECT seq + 1, at, 0, total, 'lost' FROM tmcp_events ORDER BY seq DESC LIMIT 1`,
		);
	});
	await evictDurableObject(object(), { webSockets: 'close' });
	await object().has('away');
	const losses = await runInDurableObject(object(), (_, { storage: { sql } }) =>
		sql.exec<{ seq: number }>('SELECT seq FROM tmcp_losses').toArray(),
	);
	expect(losses).toEqual([{ seq: written.rows.tmcp_events.length + 1 }]);
	expect(await heard('open')).toEqual([]);
});

it('what sessions were subscribed to, a row each, stands in their own rows', async () => {
	const [a, b] = ['a'.repeat(43), 'b'.repeat(43)];
	for (const session of ['one', 'two', 'three']) await object().begin(session, OWNER);
	await runInDurableObject(object(), (_, { storage }) => {
		rewindSchema(storage, 7);
		for (const row of [
			['a', 'one', a],
			['b', 'one', b],
			['a', 'two', a],
			['a', 'unknown', a],
		]) {
			storage.sql.exec('INSERT INTO tmcp_subscribers VALUES (?, ?, ?)', ...row);
		}
		storage.sql.exec("UPDATE tmcp_sessions SET info = '{}' WHERE session_id IN ('one', 'two')");
	});
	await evictDurableObject(object(), { webSockets: 'close' });
	expect((await object().subscribersOf(a)).toSorted()).toEqual(['one', 'two']);
	expect(await object().subscribersOf(b)).toEqual(['one']);
	await object().inform('one', [{ unsubscribe: a }]);
	expect(await object().subscribersOf(a)).toEqual(['two']);
	expect(await object().subscribersOf(b)).toEqual(['one']);
});
