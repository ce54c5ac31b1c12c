import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LIFE, ROWS_FOR_COUNT } from '../../../bench/life.ts';
import { AdmittedSession } from '../../../src/object/sessions/admitted-session.ts';
import { CostMeter, type Costs } from '../../support/costs.ts';
import { calls, RESOURCES, sent } from '../../support/worker/lives.ts';
import { SessionClient } from '../gateway/client.ts';

/** What is asked of the platform, as it is billed. */
interface Bill {
	requests: number;
	rowsRead: number;
	rowsWritten: number;
	kvRead: number;
	kvWritten: number;
	kvListed: number;
	kvDeleted: number;
}

/** Dollars a million: https://developers.cloudflare.com/durable-objects/platform/pricing/, /kv/platform/pricing/ */
const PRICES: Bill = {
	requests: 0.15,
	rowsRead: 0.001,
	rowsWritten: 1,
	kvRead: 0.5,
	kvWritten: 5,
	kvListed: 5,
	kvDeleted: 5,
};

function dollars(bill: Bill): number {
	const sum = (Object.keys(PRICES) as (keyof Bill)[]).reduce(
		(total, key) => total + bill[key] * PRICES[key],
		0,
	);
	return Number(sum.toFixed(2));
}

/** For how long the log keeps an event, in milliseconds. */
const DEFAULT_MAX_AGE_MS = 3_600_000;

const any = env.TMCP_DURABLE_OBJECT.getByName('/lives/any');
let meter: CostMeter;

beforeEach(async () => {
	meter = await CostMeter.watch(any);
});
afterEach(() => void vi.restoreAllMocks());

async function billOf(work: () => Promise<unknown>): Promise<Bill> {
	[calls.length, sent.length] = [0, 0];
	meter.reset();
	await work();
	const costs: Costs = await meter.read(any);
	// A bulk read is billed by the key.
	const keysRead = sent.reduce((keys, [of], index) => {
		if (!calls[index]?.startsWith('kv get')) return keys;
		return keys + (Array.isArray(of) ? of.length : 1);
	}, 0);
	const count = (pattern: RegExp) => calls.filter((call) => pattern.test(call)).length;
	return {
		// Each call on the stub of an object is a request, and each upgrade. What is called on the object that such a call
		// answered is part of the same one (/durable-objects/platform/pricing/, footnote 1), and is not in `calls`.
		requests: count(/^rpc/),
		rowsRead: costs.read + costs.keysRead,
		rowsWritten: costs.written + costs.keysWritten + costs.alarms,
		kvRead: keysRead,
		kvWritten: count(/^kv put/),
		kvListed: count(/^kv list/),
		kvDeleted: count(/^kv delete/),
	};
}

/** Until nothing is asked any more: what is not awaited goes on when a response is there. */
async function settled(): Promise<void> {
	for (let before = -1; before !== calls.length;) {
		before = calls.length;
		await scheduler.wait(30);
	}
}

async function done(work: Promise<Response>): Promise<Response> {
	const response = await work;
	await response.arrayBuffer();
	await settled();
	return response;
}

/** initialize, initialized, GET, 5 tool calls, setLevel, 3 subscribes, 1 resource update, 1 unsubscribe, DELETE. */
async function live(path: string): Promise<void> {
	const client = await SessionClient.begin(path);
	await settled();
	const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };
	// A client opens its stream as soon as this is answered.
	await client.fetch('POST', { body: JSON.stringify(initialized) });
	const stream = await client.open();
	await settled();
	await done(client.post('logging/setLevel', { level: 'warning' }));
	for (const uri of RESOURCES) await done(client.post('resources/subscribe', { uri }));
	for (const name of ['look', 'look', 'look', 'look', 'update']) {
		await done(client.post('tools/call', { name, arguments: {} }));
	}
	await stream.until(() => stream.raw.includes('resources/updated'), 'the update');
	await done(client.post('resources/unsubscribe', { uri: RESOURCES[0] }));
	await done(client.fetch('DELETE'));
	await stream.ended.catch(() => {});
	await settled();
}

const OURS_WITH_KV = { kvRead: 36, kvWritten: 9, kvListed: 3, kvDeleted: 9 };
const NO_KV = { kvRead: 0, kvWritten: 0, kvListed: 0, kvDeleted: 0 };

/**
 * The requests are those of the object. Of the rows that a session writes in the object, these are for what is known of
 * it: log level, 3 subscriptions, an unsubscribe; what its client told stands in the row that it has anyway. With a
 * gateway there is a manager of listen streams as well, which is asked once, at the update.
 */
const LIVES: [string, string, Partial<Bill>, number][] = [
	[
		'the existing package',
		'peer',
		{ requests: 4, rowsWritten: 0, kvRead: 35, kvWritten: 6, kvListed: 3, kvDeleted: 6 },
		93.1,
	],
	['KV', 'kv', { requests: 4, rowsWritten: 4, ...OURS_WITH_KV }, 127.6],
	['KV and a gateway', 'kv-gateway', { requests: 17, rowsWritten: 4, ...OURS_WITH_KV }, 129.57],
	['the object', 'object', { requests: 22, rowsWritten: 10, ...NO_KV }, 13.3],
	[
		'the object and a gateway',
		'object-gateway',
		{
			requests: LIFE.objectRequests,
			rowsWritten: LIFE.rowsWritten - ROWS_FOR_COUNT,
			...NO_KV,
		},
		11.57,
	],
];

it.each(LIVES)(
	'a million sessions that live with %s cost this',
	async (_, subject, bill, price) => {
		const path = `/lives/${subject}`;
		// The first life in an object also costs what is done once for all.
		await live(path);
		const counted = await billOf(() => live(path));
		expect(counted).toMatchObject(bill);
		// Nobody else counts sessions.
		const more = subject.endsWith('gateway') ? ROWS_FOR_COUNT : 0;
		expect(dollars({ ...counted, rowsWritten: counted.rowsWritten + more })).toBe(price);
	},
);

it('what is called on an admitted session is not billed, and is counted for what a home can do', async () => {
	const inform = vi.spyOn(AdmittedSession.prototype, 'inform');
	await live('/lives/object-gateway');
	expect(LIFE.objectRequests + inform.mock.calls.length).toBe(LIFE.objectCalls);
	inform.mockRestore();
});

it('eight sessions with the object and a gateway cost no more than one with the existing package', () => {
	const priceOf = (wanted: string) => LIVES.find(([, subject]) => subject === wanted)?.[3];
	// The test above has counted both.
	expect(8 * (priceOf('object-gateway') ?? Infinity)).toBeLessThanOrEqual(priceOf('peer') ?? 0);
});

it('and two rows more when a session and its event are forgotten', async () => {
	const path = '/lives/object-gateway';
	const object = env.TMCP_DURABLE_OBJECT.getByName(path);
	const cleanUpAfter = async (lives: number) => {
		for (let lived = 0; lived < lives; lived++) await live(path);
		await runInDurableObject(object, (_, { storage }) => {
			// It is time to forget them, and not yet time for the alarm, which would ring besides the one below.
			const past = Date.now() - 1_000;
			storage.sql.exec('UPDATE tmcp_sessions SET expires_at = ?', past);
			storage.sql.exec('UPDATE tmcp_events SET at = ?', past - DEFAULT_MAX_AGE_MS);
			storage.kv.delete('tmcp:purged_at');
		});
		await evictDurableObject(object);
		const bill = await billOf(() => runInDurableObject(object, (instance) => instance.alarm()));
		return bill.rowsWritten;
	};
	await cleanUpAfter(1);
	// What is written once in a clean-up is the same for both. With a single event there is less to write of the log.
	expect((await cleanUpAfter(5)) - (await cleanUpAfter(2))).toBe(LIFE.rowsWrittenLater * 3);
});
