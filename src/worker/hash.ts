import { base64url } from '../wire/session-id.ts';

/** SHA-256 in base64url: 43 characters, none of them a colon. */
export async function hash(text: string): Promise<string> {
	const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
	return base64url(new Uint8Array(digest));
}

/** Names a session in an error text or a log, where its id must not stand, because that is a credential. */
export async function shortHash(sessionId: string): Promise<string> {
	return (await hash(sessionId)).slice(0, 8);
}
