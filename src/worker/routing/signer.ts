import {
	base64url,
	formatSessionId,
	newPayload,
	SIGNATURE_BYTES,
	type SignedSessionId,
} from '../../wire/session-id.ts';

const encoder = new TextEncoder();

/** Signs session ids, and knows its own again. */
export class Signer {
	#key: CryptoKey;

	private constructor(key: CryptoKey) {
		this.#key = key;
	}

	static async of(secret: string): Promise<Signer> {
		const algorithm = { name: 'HMAC', hash: 'SHA-256' };
		const bytes = encoder.encode(secret);
		return new Signer(await crypto.subtle.importKey('raw', bytes, algorithm, false, ['sign']));
	}

	/** A new id of a session in a home. */
	async mint(home: string): Promise<string> {
		const payload = newPayload(home);
		return formatSessionId(payload, await this.#sign(payload));
	}

	/** Whether it was minted with this key. Takes equal time wherever a signature is wrong. */
	async isMine({ payload, signature }: SignedSessionId): Promise<boolean> {
		const expected = base64url(await this.#sign(payload));
		return crypto.subtle.timingSafeEqual(encoder.encode(expected), encoder.encode(signature));
	}

	async #sign(payload: string): Promise<Uint8Array> {
		const signature = await crypto.subtle.sign('HMAC', this.#key, encoder.encode(payload));
		return new Uint8Array(signature, 0, SIGNATURE_BYTES);
	}
}
