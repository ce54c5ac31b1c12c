import type { Notification, SubscriptionInput } from '../schemas.ts';

/**
 * The tags by which the sockets of subscriptions are found, so that a notification costs what it reaches and not what
 * exists. A socket has 10 tags of 256 bytes at most
 * (https://developers.cloudflare.com/durable-objects/api/state/#acceptwebsocket), so they only narrow the search: of what
 * they find, `matchesSubscription` decides.
 *
 * Every tag has a space in it, which a session id cannot have.
 */

export const SUBSCRIPTION_TAG = 'kind subscription';

/** Of a subscription that names more resources than there are tags left: found for every resource. */
const ANY_RESOURCE_TAG = 'updated any';

/** Ten tags, less those of kind, origin and the three lists. */
const MAX_RESOURCE_TAGS = 5;

/**
 * What a tag keeps of a URI or an origin: its end, where they differ most. Two that end alike share a tag and are told
 * apart by the match. In UTF-8 a character takes three bytes at most.
 */
const CHARS_IN_TAG = 80;

const LIST_TAGS = {
	toolsListChanged: 'notifications/tools/list_changed ',
	promptsListChanged: 'notifications/prompts/list_changed ',
	resourcesListChanged: 'notifications/resources/list_changed ',
} as const;

export function originTag(origin: string): string {
	return `origin ${origin.slice(-CHARS_IN_TAG)} `;
}

function resourceTag(uri: string): string {
	return `updated ${uri.slice(-CHARS_IN_TAG)} `;
}

/** The tags of a subscription's socket. */
export function subscriptionTags({ origin, filters }: SubscriptionInput): string[] {
	const tags = [SUBSCRIPTION_TAG, originTag(origin)];
	for (const list of ['toolsListChanged', 'promptsListChanged', 'resourcesListChanged'] as const) {
		if (filters[list] === true) tags.push(LIST_TAGS[list]);
	}
	const resources = new Set(filters.resourceSubscriptions?.map(resourceTag));
	return [...tags, ...(resources.size <= MAX_RESOURCE_TAGS ? resources : [ANY_RESOURCE_TAG])];
}

/** The tags of all sockets whose subscription may match the notification. */
export function audienceTags({ method, params }: Notification): string[] {
	if (method === 'notifications/resources/updated') {
		return typeof params?.['uri'] === 'string'
			? [resourceTag(params['uri']), ANY_RESOURCE_TAG]
			: [];
	}
	return Object.values(LIST_TAGS).filter((tag) => tag === `${method} `);
}
