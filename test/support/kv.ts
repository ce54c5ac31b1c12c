import { env } from 'cloudflare:workers';
import { subscribedPrefix } from '../../src/worker/info/kv-keys.ts';

const kv = env.TMCP_SESSION_INFO;

/** The names and the expirations (seconds since 1970) of all that KV holds. */
export async function allKeys(): Promise<Map<string, number | undefined>> {
	const keys = new Map<string, number | undefined>();
	let cursor: string | null = null;
	for (;;) {
		const page: KVNamespaceListResult<unknown> = await kv.list({ cursor });
		for (const { name, expiration } of page.keys) keys.set(name, expiration);
		if (page.list_complete) return keys;
		cursor = page.cursor;
	}
}

/** Which keys a piece of work makes. */
export async function keysMadeBy(
	work: () => Promise<unknown>,
): Promise<Map<string, number | undefined>> {
	const before = await allKeys();
	await work();
	return new Map([...(await allKeys())].filter(([name]) => !before.has(name)));
}

/** The names of all that KV holds of a session. */
export async function keysOf(session: string): Promise<string[]> {
	const reverse = await subscribedPrefix(session);
	return [...(await allKeys()).keys()].filter(
		(name) => name.endsWith(`:${session}`) || name.startsWith(reverse),
	);
}

/** Make keys look as if 60 % of their time to live were over. @param ttl in seconds */
export async function age(keys: Iterable<string>, ttl: number): Promise<void> {
	const metadata = { at: Math.floor(Date.now() / 1000) - 0.6 * ttl };
	for (const key of keys)
		await kv.put(key, (await kv.get(key)) ?? '', { expirationTtl: 0.4 * ttl, metadata });
}
