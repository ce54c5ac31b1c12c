import { base64url } from '../wire/session-id.ts';

/** As long as the hash that session ids are signed with. */
const KEY_BYTES = 32;

/** A secret of the object: made when it is asked for the first time, and kept. */
export function keyFor(use: 'signing' | 'upgrade', { kv }: DurableObjectStorage): string {
	const name = `tmcp:${use}_key`;
	const stored = kv.get<string>(name);
	if (stored !== undefined) return stored;
	const key = base64url(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
	kv.put(name, key);
	return key;
}
