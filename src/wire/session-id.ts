/** The ids that the gateway gives to sessions: `<home>.<random>.<signature>`, for example `3.f0Cq….Yx2e…`. */
import { parseHome } from './home.ts';

/** The random part has 128 bits, and the signature, which is cut off there, too. */
const RANDOM_BYTES = 16;
export const SIGNATURE_BYTES = 16;

/** An id as it is written. Whether the signature is right is another question. */
export interface SignedSessionId {
	/** The home where the session is: see `parseHome`. */
	home: string;
	/** What is signed: home and random part. */
	payload: string;
	/** In base64url. */
	signature: string;
}

/** 16 bytes in base64url: the last character has four bits that mean nothing, and are zero. */
const BYTES = '[\\w-]{21}[AQgw]';
const PATTERN = new RegExp(`^(([a-z\\d-]+)\\.${BYTES})\\.(${BYTES})$`);

export function formatSessionId(payload: string, signature: Uint8Array): string {
	return `${payload}.${base64url(signature)}`;
}

/** What a new id in a home is signed for. */
export function newPayload(home: string): string {
	return `${home}.${base64url(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)))}`;
}

/** @returns `undefined` for an id that was not made here, in form */
export function readSessionId(sessionId: string): SignedSessionId | undefined {
	const [, payload, home, signature] = PATTERN.exec(sessionId) ?? [];
	if (payload === undefined || home === undefined || signature === undefined) return undefined;
	return parseHome(home) && { home, payload, signature };
}

export function base64url(bytes: Uint8Array): string {
	return btoa(String.fromCharCode(...bytes))
		.replaceAll('+', '-')
		.replaceAll('/', '_')
		.replaceAll('=', '');
}
