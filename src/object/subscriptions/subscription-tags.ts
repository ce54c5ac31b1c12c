import type { Notification, SubscriptionInput } from '../../wire/arguments.ts';

/**
 * The tags by which the sockets of subscriptions are found, so that a notification costs what it reaches and not what
 * exists. A socket has 10 tags of 256 bytes at most
 * (https://developers.cloudflare.com/durable-objects/api/state/#acceptwebsocket): one for its kind, one for its origin, one
 * for each of three lists, one for its owner, and up to four for resources. They only narrow the search: of what they find,
 * `matchesSubscription` decides. A subscription to more resources has one tag for all of them, by which the
 * `FilterStore` names it.
 *
 * Every tag has a space in it, which a session id cannot have.
 */

export const SUBSCRIPTION_TAG = 'kind subscription';

const MAX_RESOURCE_TAGS = 4;

/**
 * What goes into a socket's attachment. It takes 16,384 bytes, serialised
 * (https://developers.cloudflare.com/durable-objects/api/websockets/): two for each character, and the names of the fields.
 */
const MAX_ATTACHED_CHARS = 5_000;

/**
 * What a tag keeps of a URI or an origin: its end, where they differ most. Two that end alike share a tag and are told
 * apart by the match. In UTF-8 a character takes three bytes at most.
 */
const CHARS_IN_TAG = 80;

const LIST_TAGS = [
	['toolsListChanged', 'notifications/tools/list_changed '],
	['promptsListChanged', 'notifications/prompts/list_changed '],
	['resourcesListChanged', 'notifications/resources/list_changed '],
] as const;

export function originTag(origin: string): string {
	return `origin ${origin.slice(-CHARS_IN_TAG)} `;
}

/** Of the sockets that one owner has. */
export function ownerTag(account: string): string {
	return `owner ${account}`;
}

/** Of the socket whose resources are in the `FilterStore`. */
export function filterTag(filterId: string): string {
	return `filter ${filterId}`;
}

function resourceTag(uri: string): string {
	return `updated ${uri.slice(-CHARS_IN_TAG)} `;
}

/** Whether a subscription is more than its socket can carry, in tags and attachment. */
export function needsFilterStore({ filters }: SubscriptionInput): boolean {
	const uris = filters.resourceSubscriptions ?? [];
	return uris.length > MAX_RESOURCE_TAGS || JSON.stringify(uris).length > MAX_ATTACHED_CHARS;
}

/** The tags of a subscription's socket. @param filterId where its resources are in the `FilterStore` @param account its owner's */
export function subscriptionTags(
	{ origin, filters }: SubscriptionInput,
	filterId: string | undefined,
	account: string | undefined,
): string[] {
	const tags = new Set([SUBSCRIPTION_TAG, originTag(origin)]);
	if (account !== undefined) tags.add(ownerTag(account));
	for (const [list, tag] of LIST_TAGS) if (filters[list] === true) tags.add(tag);
	if (filterId !== undefined) tags.add(filterTag(filterId));
	else for (const uri of filters.resourceSubscriptions ?? []) tags.add(resourceTag(uri));
	return [...tags];
}

/** The tag of all sockets whose subscription may match the notification, but those in the `FilterStore`. */
export function audienceTag(notification: Notification): string | undefined {
	const uri = updatedUri(notification);
	if (uri !== undefined) return resourceTag(uri);
	return LIST_TAGS.find(([, tag]) => tag === `${notification.method} `)?.[1];
}

/** The resource that a notification says was updated. */
export function updatedUri({ method, params }: Notification): string | undefined {
	const uri = method === 'notifications/resources/updated' ? params?.['uri'] : undefined;
	return typeof uri === 'string' ? uri : undefined;
}
