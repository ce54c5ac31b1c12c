import { describe, expect, it } from 'vitest';
import {
	parseAttachOptions,
	parseBatch,
	parseBroadcast,
	parseDetachOptions,
	parseNotifications,
	parseOwner,
	parseSendOptions,
	parseSessionId,
	parseSubscribeOptions,
	parseSubscription,
	parseUnsubscribe,
} from '../../src/wire/arguments.ts';

/** A session id that was given where something else belongs; no session id can have the line feed. */
const SECRET = 'secret-4f1d\n';

describe('what is refused is not quoted, because it may be a session id', () => {
	it.each<[string, () => unknown]>([
		['a session id', () => parseSessionId(SECRET)],
		['an owner', () => parseOwner(SECRET)],
		['an option of attach', () => parseAttachOptions({ connectionId: SECRET })],
		['the options of attach', () => parseAttachOptions(SECRET)],
		['an option of detach', () => parseDetachOptions({ position: SECRET })],
		['the options of subscribe', () => parseSubscribeOptions([SECRET])],
		['the options of broadcast', () => parseSendOptions(SECRET, 'broadcast')],
		['the sessions of a broadcast', () => parseBroadcast(SECRET, 'data', undefined)],
		['one session of a broadcast', () => parseBroadcast([SECRET], 'data', undefined)],
		['a batch', () => parseBatch([SECRET])],
		['a notification', () => parseNotifications([SECRET])],
		['the version of a notification', () => parseNotifications([{ jsonrpc: SECRET }])],
		['a subscription', () => parseSubscription(SECRET)],
		[
			'the filters of a subscription',
			() => parseSubscription({ id: 1, origin: 'a', filters: SECRET }),
		],
		['the target of unsubscribe', () => parseUnsubscribe(SECRET, 'closed')],
		['the reason of unsubscribe', () => parseUnsubscribe({}, SECRET)],
	])('%s', (_, parse) => {
		expect(parse).toThrow(/^INVALID_(ARGUMENT|SESSION_ID): /);
		expect(parse).not.toThrow(/secret/);
	});
});

it('an unknown option is named, and so are those that there are', () => {
	expect(() => parseDetachOptions({ conectionId: 'x' })).toThrow(
		/conectionId.*detach.*connectionId, position/,
	);
});
