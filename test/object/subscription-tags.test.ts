import { matchesSubscription } from '@tmcp/session-manager';
import { describe, expect, it } from 'vitest';
import {
	audienceTag,
	needsFilterStore,
	subscriptionTags,
} from '../../src/object/subscriptions/subscription-tags.ts';

const URIS = [
	'memo://a',
	'memo://a ',
	'any',
	'',
	'é'.repeat(300),
	`${'é'.repeat(300)}x`,
	'x y',
	'memo://b',
	'c',
	'd',
];
const LISTS = ['toolsListChanged', 'promptsListChanged', 'resourcesListChanged'] as const;

const filters = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((bits) =>
	[[], URIS.slice(0, 1), URIS.slice(0, 4), URIS.slice(2, 9), URIS].map((resourceSubscriptions) => ({
		...Object.fromEntries(LISTS.map((list, i) => [list, (bits & (1 << i)) !== 0])),
		resourceSubscriptions,
	})),
);

const notifications = [
	...['tools', 'prompts', 'resources'].map((what) => ({
		method: `notifications/${what}/list_changed`,
	})),
	...[...URIS, 'memo://unknown', 1, undefined].map((uri) => ({
		method: 'notifications/resources/updated',
		params: { uri },
	})),
	{ method: 'notifications/message' },
	{ method: 'kind subscription' },
].map((rest) => ({ jsonrpc: '2.0' as const, ...rest }));

function tagsOf(subscription: Parameters<typeof subscriptionTags>[0]): string[] {
	return subscriptionTags(
		subscription,
		needsFilterStore(subscription) ? 'id' : undefined,
		'a'.repeat(43),
	);
}

describe('the tags of subscriptions', () => {
	it('find every subscription that a notification matches, but by resources in the FilterStore', () => {
		let matches = 0;
		for (const filter of filters) {
			const subscription = { id: 1, origin: 'o', filters: filter };
			const isLarge = needsFilterStore(subscription);
			const tags = subscriptionTags(subscription, isLarge ? 'id' : undefined, undefined);
			for (const notification of notifications) {
				if (!matchesSubscription(filter, notification)) continue;
				if (isLarge && notification.method === 'notifications/resources/updated') continue;
				matches++;
				expect(tags).toContain(audienceTag(notification));
			}
		}
		expect(matches).toBeGreaterThanOrEqual(100);
	});

	it('keep within what a socket takes: 10 tags of 256 bytes', () => {
		for (const filter of filters) {
			const tags = tagsOf({ id: 1, origin: 'ö'.repeat(1_024), filters: filter });
			expect(new Set(tags).size).toBe(tags.length);
			expect(tags.length).toBeLessThanOrEqual(10);
			for (const tag of tags)
				expect(new TextEncoder().encode(tag).byteLength).toBeLessThanOrEqual(256);
		}
	});

	it('can never be a session id', () => {
		for (const tag of filters.flatMap((filter) =>
			tagsOf({ id: 1, origin: 'o', filters: filter }),
		)) {
			expect(tag).toContain(' ');
		}
	});
});
