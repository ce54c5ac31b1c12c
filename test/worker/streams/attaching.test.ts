import { abortAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { DurableObjectStreamSessionManager, SessionManagerError } from '../../../src/index.ts';
import type { Answered } from '../../../src/worker/routing/answered.ts';
import { type Attaching, runInScope } from '../../../src/worker/request/request-scope.ts';
import { codeOf } from '../../support/codes.ts';
import { EventStream } from '../../support/event-stream.ts';
import { onlyObject } from '../../support/objects.ts';
import { unread } from '../../support/unread.ts';

const OWNER = 'o'.repeat(43);

let name: string;
let asked: string[];
beforeEach(async () => {
	name = crypto.randomUUID();
	asked = [];
	await object().begin('one', OWNER);
});
const object = () => env.TMCP_DURABLE_OBJECT.getByName(name);

/** A stream in a request that the gateway has admitted. */
function opened(attaching: Attaching) {
	const streams = new DurableObjectStreamSessionManager(
		onlyObject(env.TMCP_DURABLE_OBJECT, name, (stub) => ({
			attach: (...args: Parameters<typeof stub.attach>) => {
				asked.push('attach');
				return stub.attach(...args);
			},
		})),
	);
	const scope = {
		account: undefined,
		ownerHash: OWNER,
		lastEventId: undefined,
		takesOver: true,
		primingEvent: undefined,
		attaching: { ...attaching, dispose: () => void asked.push('dispose') },
	};
	return runInScope(scope, async () => {
		const { body, started } = unread(streams, 'one');
		await started;
		return new EventStream(body);
	});
}

async function admitted(): Promise<Attaching> {
	const answer: Answered | undefined = await object().admitWithInfo('one', OWNER, true);
	const target = answer?.session;
	if (!target) throw new Error('not admitted');
	return { attach: async (options) => target.attach(options), dispose: () => {} };
}

describe('a stream whose session was admitted in the same request', () => {
	it('is attached by the call that admitted it', async () => {
		const stream = await opened(await admitted());
		await object().broadcast(['one'], 'data: "hello"\n\n');
		expect(await stream.messages(1)).toEqual(['hello']);
		expect(asked).toEqual(['dispose']);
		await stream.cancel();
	});

	it('is attached by another call where the object was restarted in between', async () => {
		const attaching = await admitted();
		await abortAllDurableObjects();
		const stream = await opened(attaching);
		await object().broadcast(['one'], 'data: "hello"\n\n');
		expect(await stream.messages(1)).toEqual(['hello']);
		expect(asked).toEqual(['attach', 'dispose']);
		await stream.cancel();
	});

	it('is not opened where the object refuses it', async () => {
		const refused = new SessionManagerError('STREAM_DETACHED', 'it has ended');
		const attaching = { attach: () => Promise.reject(refused), dispose: () => {} };
		expect(await codeOf(() => opened(attaching))).toBeUndefined();
		expect(asked).toEqual(['dispose']);
		expect(await object().has('one')).toBe(false);
	});
});
