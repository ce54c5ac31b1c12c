import type { McpServer } from 'tmcp';

type Codec = NonNullable<ConstructorParameters<typeof McpServer>[1]['requestStateCodec']>;

/** A state that its client can read, and not change: `<JSON>.<HMAC of it>`, both in base64. */
export function signedState(secret: string): Codec {
	const algorithm = { name: 'HMAC', hash: 'SHA-256' };
	const bytes = (text: string) => new TextEncoder().encode(text);
	// Imported at the first use: Workers do no such thing while they start.
	const key = () =>
		crypto.subtle.importKey('raw', bytes(secret), algorithm, false, ['sign', 'verify']);
	const fromBase64 = (text: string) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
	const toBase64 = (data: Uint8Array) => btoa(String.fromCharCode(...data));
	return {
		encode: async (state) => {
			const data = bytes(JSON.stringify(state));
			const signature = await crypto.subtle.sign('HMAC', await key(), data);
			return `${toBase64(data)}.${toBase64(new Uint8Array(signature))}`;
		},
		decode: async (text) => {
			const [data = '', signature = ''] = text.split('.');
			const signed = fromBase64(data);
			const isOurs = await crypto.subtle.verify('HMAC', await key(), fromBase64(signature), signed);
			if (!isOurs) throw new Error('the signature is not ours');
			return JSON.parse(new TextDecoder().decode(signed));
		},
	};
}
