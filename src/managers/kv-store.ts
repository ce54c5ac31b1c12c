import * as v from 'valibot';
import { SessionManagerError } from '../errors.ts';
import { type RetryPolicy, withRetry } from '../routing/retry.ts';

/**
 * KV takes one write a second to one key and answers 429 to more
 * (https://developers.cloudflare.com/kv/platform/limits/). The pauses add up to less than the 30 s for which `waitUntil`
 * keeps a finished request alive.
 */
const WRITE_RETRIES: RetryPolicy = {
	attempts: 5,
	baseMs: 1_000,
	maxMs: 8_000,
	isRetryable: (error) =>
		error instanceof Error && /\b429\b|too many requests/i.test(error.message),
};

/** After this time a request that has not finished its write never will: its `waitUntil` has run out. */
const PENDING_LIMIT_MS = 60_000;

/** A stored text and when it was written, in seconds since 1970; 0 where that is not known. */
export interface Entry {
	text: string;
	writtenAt: number;
}

const MetadataSchema = v.looseObject({ at: v.number() });

interface PendingWrite {
	/** `undefined` for a deletion. */
	entry: Entry | undefined;
	startedAt: number;
}

/**
 * Workers KV with what it lacks for our use: expiry and the time of writing on every key, retries, and reads that see
 * the writes which this instance has not finished. (A later read elsewhere may still be up to 60 s behind.)
 */
export class KVStore {
	#namespace: () => KVNamespace;
	#ttl: number;
	#pending = new Map<string, PendingWrite>();

	/** @param ttl how long a key lives after it was written, in seconds */
	constructor(namespace: () => KVNamespace, ttl: number) {
		this.#namespace = namespace;
		this.#ttl = ttl;
	}

	/** Read up to 100 keys in one operation. @throws `SESSION_INFO_READ_FAILED` */
	async read(keys: string[]): Promise<(Entry | undefined)[]> {
		const found = await reading(() => this.#namespace().getWithMetadata(keys, 'text'));
		return keys.map((key) => {
			const pending = this.#pendingWrite(key);
			if (pending) return pending.entry;
			const { value = null, metadata } = found.get(key) ?? {};
			if (value === null) return undefined;
			return { text: value, writtenAt: v.is(MetadataSchema, metadata) ? metadata.at : 0 };
		});
	}

	/** What follows `prefix` in the names of all keys that begin with it. @throws `SESSION_INFO_READ_FAILED` */
	async list(prefix: string): Promise<string[]> {
		const names = new Set<string>();
		let cursor: string | undefined;
		do {
			const page = await reading(() =>
				this.#namespace().list({ prefix, ...(cursor === undefined ? {} : { cursor }) }),
			);
			for (const { name } of page.keys) names.add(name);
			cursor = page.list_complete ? undefined : page.cursor;
		} while (cursor !== undefined);
		for (const key of this.#pending.keys()) {
			if (!key.startsWith(prefix)) continue;
			const pending = this.#pendingWrite(key);
			if (pending?.entry) names.add(key);
			else if (pending) names.delete(key);
		}
		return Array.from(names, (name) => name.slice(prefix.length));
	}

	/** @throws `SESSION_INFO_WRITE_FAILED` */
	put(key: string, text: string): Promise<void> {
		const writtenAt = Math.floor(Date.now() / 1000);
		const options = { expirationTtl: this.#ttl, metadata: { at: writtenAt } };
		return this.#write(key, { text, writtenAt }, () => this.#namespace().put(key, text, options));
	}

	/** @throws `SESSION_INFO_WRITE_FAILED` */
	delete(key: string): Promise<void> {
		return this.#write(key, undefined, () => this.#namespace().delete(key));
	}

	async #write(key: string, entry: Entry | undefined, write: () => Promise<void>): Promise<void> {
		const pending: PendingWrite = { entry, startedAt: Date.now() };
		this.#pending.set(key, pending);
		try {
			await withRetry(WRITE_RETRIES, async () => {
				// A newer write of this key must not be undone by the late retry of an older one.
				if (this.#pending.get(key) === pending) await write();
			});
		} catch (error) {
			if (error instanceof SessionManagerError) throw error;
			throw new SessionManagerError(
				'SESSION_INFO_WRITE_FAILED',
				`KV did not take a write of the key ${JSON.stringify(key)} (${String(error)}).`,
				{ cause: error },
			);
		} finally {
			if (this.#pending.get(key) === pending) this.#pending.delete(key);
		}
	}

	#pendingWrite(key: string): PendingWrite | undefined {
		const pending = this.#pending.get(key);
		if (!pending || Date.now() - pending.startedAt < PENDING_LIMIT_MS) return pending;
		this.#pending.delete(key);
		return undefined;
	}
}

async function reading<T>(read: () => Promise<T>): Promise<T> {
	try {
		return await read();
	} catch (error) {
		if (error instanceof SessionManagerError) throw error;
		throw new SessionManagerError(
			'SESSION_INFO_READ_FAILED',
			`KV could not be read (${String(error)}). Try again later.`,
			{ cause: error },
		);
	}
}
