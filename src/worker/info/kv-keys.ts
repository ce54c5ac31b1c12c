import { hash, shortHash } from '../hash.ts';

/**
 * The names under which KV holds what is known of a session. The first three are those of the existing package, so
 * that its sessions stay readable.
 *
 * A key is at most 512 bytes (https://developers.cloudflare.com/kv/platform/limits/); the longest here has 344, whatever
 * the URI. URIs and, where it is not last, the session id are hashed, so that no two of them ever share a prefix.
 */
export const infoKeys = {
	clientInfo: (id: string) => `tmcp:client_info:${id}`,
	clientCapabilities: (id: string) => `tmcp:client_capabilities:${id}`,
	logLevel: (id: string) => `tmcp:log_level:${id}`,
};

/** Before the ids of the sessions that subscribed to a URI. */
export function subscribersPrefix(uriHash: string): string {
	return `tmcp:subscriptions:${uriHash}:`;
}

/** Before the hashes of the URIs that a session subscribed to. */
export async function subscribedPrefix(id: string): Promise<string> {
	return `tmcp:subscribed:${await hash(id)}:`;
}

/** A key for an error text: with a short hash in the place of the session id, which is a credential. */
export async function keyWithoutSessionId(key: string): Promise<string> {
	const [start = ''] = /^tmcp:(subscri(ptions|bed):[^:]*|\w+):/.exec(key) ?? [];
	return start + (await shortHash(key.slice(start.length)));
}
