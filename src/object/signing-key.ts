import { base64url } from '../wire/session-id.ts';

const SIGNING_KEY = 'tmcp:signing_key';

/** As long as the hash that it is used with. */
const KEY_BYTES = 32;

/** The key that session ids are signed with where the Worker has none of its own: made once, and kept. */
export function signingKey({ kv }: DurableObjectStorage): string {
	const stored = kv.get<string>(SIGNING_KEY);
	if (stored !== undefined) return stored;
	const key = base64url(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
	kv.put(SIGNING_KEY, key);
	return key;
}
