import { abortAllDurableObjects, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { DurableObjectStreamSessionManager } from '../../../src/index.ts';
import { runInScope } from '../../../src/worker/request/request-scope.ts';
import { EventStream } from '../../support/event-stream.ts';
import { onlyObject } from '../../support/objects.ts';
import { unread } from '../../support/unread.ts';

const OWNER = 'o'.repeat(43);

let name: string;
let asked: string[];
let streams: DurableObjectStreamSessionManager;
const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);

beforeEach(() => {
	name = crypto.randomUUID();
	asked = [];
	const namespace = onlyObject(env.TMCP_DURABLE_OBJECT, name, (stub) => ({
		attach: (...args: Parameters<typeof stub.attach>) => {
			asked.push('attach');
			return stub.attach(...args);
		},
		fetch: (...args: Parameters<typeof stub.fetch>) => {
			asked.push('upgrade');
			return stub.fetch(...args);
		},
	}));
	streams = new DurableObjectStreamSessionManager(namespace);
});

/** Opens a stream, and shows that it hears. */
async function opened(): Promise<EventStream> {
	const { body, started } = unread(streams, 'one');
	await started;
	const stream = new EventStream(body);
	await object().broadcast(['one'], 'data: "hello"\n\n');
	await stream.until(() => stream.events.includes('"hello"'), 'what was sent');
	return stream;
}

describe('an instance opens a stream', () => {
	it('in one request, once it has opened one in this object', async () => {
		const first = await opened();
		expect(asked).toEqual(['attach', 'upgrade']);
		asked.length = 0;
		const second = await opened();
		await first.ended;
		const third = await opened();
		await second.ended;
		expect(asked).toEqual(['upgrade', 'upgrade']);
		await third.cancel();
	});

	it('in one request after the object was restarted, too', async () => {
		await (await opened()).cancel();
		await abortAllDurableObjects();
		asked.length = 0;
		await (await opened()).cancel();
		expect(asked).toEqual(['upgrade']);
	});

	it('also where the object has lost its key, with another one', async () => {
		await (await opened()).cancel();
		await runInDurableObject(object(), (_, { storage }) => storage.deleteAll());
		await abortAllDurableObjects();
		asked.length = 0;
		await (await opened()).cancel();
		expect(asked).toEqual(['upgrade', 'attach', 'upgrade']);
		asked.length = 0;
		await (await opened()).cancel();
		expect(asked).toEqual(['upgrade']);
	});
});

it('behind a gateway the first stream of an instance needs no other call than its admission', async () => {
	await object().begin('one', OWNER);
	const { upgradeKey } = (await object().admitWithInfo('one', OWNER, 'stream')) ?? {};
	const scope = { ownerHash: OWNER, upgradeKey };
	const stream = await runInScope(scope, async () => {
		const { body, started } = unread(streams, 'one');
		await started;
		return new EventStream(body);
	});
	expect(asked).toEqual(['upgrade']);
	await object().broadcast(['one'], 'data: "hello"\n\n');
	expect(await stream.messages(1)).toEqual(['hello']);
	await stream.cancel();
});

it('a key that its gateway keeps though it is no longer true is tried once', async () => {
	await object().begin('one', OWNER);
	asked.length = 0;
	for (let get = 0; get < 3; get++) {
		const stream = await runInScope({ ownerHash: OWNER, upgradeKey: 'k'.repeat(43) }, async () => {
			const { body, started } = unread(streams, 'one');
			await started;
			return new EventStream(body);
		});
		await stream.cancel();
	}
	expect(asked).toEqual(['upgrade', 'attach', 'upgrade', 'upgrade', 'upgrade']);
});

it('two streams of one session that are opened at once leave one open', async () => {
	await (await opened()).cancel();
	const both = [unread(streams, 'both'), unread(streams, 'both')];
	await Promise.all(both.map(({ started }) => started));
	const { delivered } = await object().broadcast(['both'], 'data: "x"\n\n');
	expect(delivered).toBe(1);
	const [older, newer] = both.map(({ body }) => new EventStream(body));
	await newer?.until(() => newer.events.includes('"x"'), 'the message');
	await older?.ended;
	await newer?.cancel();
});
