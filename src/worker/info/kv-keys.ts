import { hash, shortHash } from '../hash.ts';

/**
 * The keys under which KV holds what is known of a session. These three are those of the existing package, so that its
 * sessions stay readable.
 *
 * A key may have 512 bytes (https://developers.cloudflare.com/kv/platform/limits/), and has at most 344 here. URIs are hashed
 * for that, and session ids wherever another part follows, so that one session's keys never begin like another's.
 */
export const infoKeys = {
	clientInfo: (id: string) => `tmcp:client_info:${id}`,
	clientCapabilities: (id: string) => `tmcp:client_capabilities:${id}`,
	logLevel: (id: string) => `tmcp:log_level:${id}`,
};

/** The prefix of the keys that name the sessions which subscribed to a URI. */
export function subscribersPrefix(uriHash: string): string {
	return `tmcp:subscriptions:${uriHash}:`;
}

/** The prefix of the keys that name, by hash, the URIs which a session subscribed to. */
export async function subscribedPrefix(id: string): Promise<string> {
	return `tmcp:subscribed:${await hash(id)}:`;
}

/** A key for an error text: with a short hash in the place of the session id, which is a credential. */
export async function keyWithoutSessionId(key: string): Promise<string> {
	const [start = ''] = /^tmcp:(subscri(ptions|bed):[^:]*|\w+):/.exec(key) ?? [];
	return start + (await shortHash(key.slice(start.length)));
}
