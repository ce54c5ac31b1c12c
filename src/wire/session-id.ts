/**
 * The ids that the gateway gives to sessions: `<home>.<time>.<random>.<signature>`, for example `3.tmo5q8.f0Cq….Yx2e…`. The
 * time is what tells how old a session is: so that needs no column of its row.
 */
import { parseHome } from './home.ts';

/** The random part has 128 bits, and the signature, which is cut off there, too. */
const RANDOM_BYTES = 16;
export const SIGNATURE_BYTES = 16;

/** An id as it is written. Whether the signature is right is another question. */
export interface SignedSessionId {
	/** The home where the session is: see `parseHome`. */
	home: string;
	/** When it was made, in milliseconds since 1970, to the second. */
	madeAt: number;
	/** What is signed: home, time and random part. */
	payload: string;
	/** In base64url. */
	signature: string;
}

/** Of the time, which is in seconds. */
const RADIX = 36;

/** 16 bytes in base64url: the last character has four bits that mean nothing, and are zero. */
const BYTES = '[\\w-]{21}[AQgw]';
const PATTERN = new RegExp(`^(([a-z\\d-]+)\\.([a-z\\d]{6,7})\\.${BYTES})\\.(${BYTES})$`);

export function formatSessionId(payload: string, signature: Uint8Array): string {
	return `${payload}.${base64url(signature)}`;
}

/** What a new id in a home is signed for. */
export function newPayload(home: string, now = Date.now()): string {
	const seconds = Math.floor(now / 1_000);
	return `${home}.${seconds.toString(RADIX)}.${base64url(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)))}`;
}

/** @returns `undefined` for an id that was not made here, in form */
export function readSessionId(sessionId: string): SignedSessionId | undefined {
	const [, payload, home, time = '', signature] = PATTERN.exec(sessionId) ?? [];
	if (payload === undefined || home === undefined || signature === undefined) return undefined;
	const madeAt = Number.parseInt(time, RADIX) * 1_000;
	return parseHome(home) && { home, madeAt, payload, signature };
}

export function base64url(bytes: Uint8Array): string {
	return btoa(String.fromCharCode(...bytes))
		.replaceAll('+', '-')
		.replaceAll('/', '_')
		.replaceAll('=', '');
}
