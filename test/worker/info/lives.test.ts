import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CostMeter, type Costs } from '../../support/costs.ts';
import { calls, RESOURCES } from '../../support/worker/lives.ts';
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

const any = env.TMCP_DURABLE_OBJECT.getByName('/lives/any');
let meter: CostMeter;

beforeEach(async () => {
	meter = await CostMeter.watch(any);
});
afterEach(() => void vi.restoreAllMocks());

async function billOf(work: () => Promise<unknown>): Promise<Bill> {
	calls.length = 0;
	meter.reset();
	await work();
	const costs: Costs = await meter.read(any);
	const count = (pattern: RegExp) => calls.filter((call) => pattern.test(call)).length;
	return {
		requests: count(/^rpc/),
		rowsRead: costs.read + costs.keysRead,
		rowsWritten: costs.written + costs.keysWritten + costs.alarms,
		kvRead: count(/^kv get/),
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
	await done(client.fetch('POST', { body: JSON.stringify(initialized) }));
	const stream = await client.open();
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

/** What one of a million such sessions asks for. The first life in an object also costs what is done once for all. */
async function billOfLife(path: string): Promise<Bill> {
	await live(path);
	return billOf(() => live(path));
}

it.each(['peer', 'kv', 'kv-gateway', 'object', 'object-gateway'])('%s', async (subject) => {
	const counted = await billOfLife(`/lives/${subject}`);
	console.log(subject, JSON.stringify(counted), dollars(counted), calls.join(', '));
	expect(subject).toBeDefined();
});
