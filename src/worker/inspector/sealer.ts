import { base64url } from '../../wire/session-id.ts';

const encoder = new TextEncoder();
const IV_BYTES = 12;

/** What something was sealed for: what is sealed for one purpose cannot be opened for another. */
export type Purpose = 'session' | 'sessions after' | 'listener' | 'listeners after';

/**
 * Session ids are credentials, so a page gets them sealed: it can hand one back, and read or make none. The same text has
 * the same seal, so that a page knows a row again.
 */
export class Sealer {
	#ivKey: CryptoKey;
	#key: CryptoKey;

	private constructor(ivKey: CryptoKey, key: CryptoKey) {
		this.#ivKey = ivKey;
		this.#key = key;
	}

	/** @param secret of the installation */
	static async of(secret: string): Promise<Sealer> {
		const digest = (label: string) =>
			crypto.subtle.digest('SHA-256', encoder.encode(`tmcp inspector ${label}\n${secret}`));
		const hmac = { name: 'HMAC', hash: 'SHA-256' };
		return new Sealer(
			await crypto.subtle.importKey('raw', await digest('iv'), hmac, false, ['sign']),
			await crypto.subtle.importKey('raw', await digest('key'), 'AES-GCM', false, [
				'encrypt',
				'decrypt',
			]),
		);
	}

	/** AES-GCM, with an initialisation vector that is made of the text: no two texts share one. */
	async seal(purpose: Purpose, text: string): Promise<string> {
		const named = encoder.encode(`${purpose}\n${text}`);
		const iv = new Uint8Array(await crypto.subtle.sign('HMAC', this.#ivKey, named), 0, IV_BYTES);
		const of = { name: 'AES-GCM', iv, additionalData: encoder.encode(purpose) };
		const sealed = await crypto.subtle.encrypt(of, this.#key, encoder.encode(text));
		return base64url(new Uint8Array([...iv, ...new Uint8Array(sealed)]));
	}

	/** @returns `undefined` for what was not sealed with this secret for this purpose */
	async open(purpose: Purpose, sealed: string): Promise<string | undefined> {
		try {
			const base64 = sealed.replaceAll('-', '+').replaceAll('_', '/');
			const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
			const iv = bytes.subarray(0, IV_BYTES);
			const of = { name: 'AES-GCM', iv, additionalData: encoder.encode(purpose) };
			const text = await crypto.subtle.decrypt(of, this.#key, bytes.subarray(IV_BYTES));
			return new TextDecoder().decode(text);
		} catch {
			// Neither base64 nor anything that was sealed here.
			return undefined;
		}
	}
}
