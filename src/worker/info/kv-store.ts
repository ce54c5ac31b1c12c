import * as v from 'valibot';
import { SessionManagerError } from '../../errors.ts';
import { type RetryPolicy, withRetry } from '../routing/retry.ts';
import { keyWithoutSessionId } from './kv-keys.ts';

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

/**
 * How long a write of this instance is remembered, in milliseconds. A request that has not finished its write by then
 * never will, because its `waitUntil` has run out; and a renewal that read before it is over.
 */
const WRITE_MEMORY_MS = 60_000;

/** A stored text and when it was written, in seconds since 1970; 0 where that is not known. */
export interface Entry {
	text: string;
	writtenAt: number;
}

/** The end of a key's name after the prefix that it was found by, and when it was written. */
export interface ListedKey {
	name: string;
	writtenAt: number;
}

const MetadataSchema = v.looseObject({ at: v.number() });

/** The newest write of a key by this instance. */
interface Write {
	/** `undefined` for a deletion. */
	entry: Entry | undefined;
	startedAt: number;
	/** How many writes of the key are under way, older ones included. */
	underWay: number;
}

/**
 * Workers KV with what it lacks for our use: expiry and the time of writing on every key, retries, an order among the
 * writes of one key, and reads that see the writes which this instance has not finished. (A read in another instance may
 * be 60 s behind.)
 */
export class KVStore {
	#namespace: () => KVNamespace;
	#ttl: number;
	/** In the order of their beginning. */
	#writes = new Map<string, Write>();

	/** @param ttl how long a key lives after it was written, in seconds */
	constructor(namespace: () => KVNamespace, ttl: number) {
		this.#namespace = namespace;
		this.#ttl = ttl;
	}

	/** Read up to 100 keys in one operation. @throws `SESSION_INFO_READ_FAILED` */
	async read(keys: string[]): Promise<(Entry | undefined)[]> {
		const found = await reading(() => this.#namespace().getWithMetadata(keys, 'text'));
		return keys.map((key) => {
			const write = this.#writeUnderWay(key);
			if (write) return write.entry;
			const { value = null, metadata } = found.get(key) ?? {};
			return value === null ? undefined : { text: value, writtenAt: writtenAt(metadata) };
		});
	}

	/** All keys whose names begin with `prefix`. @throws `SESSION_INFO_READ_FAILED` */
	async list(prefix: string): Promise<ListedKey[]> {
		const found = new Map<string, number>();
		let cursor: string | undefined;
		do {
			const page = await reading(() =>
				this.#namespace().list({ prefix, ...(cursor === undefined ? {} : { cursor }) }),
			);
			for (const { name, metadata } of page.keys) found.set(name, writtenAt(metadata));
			cursor = page.list_complete ? undefined : page.cursor;
		} while (cursor !== undefined);
		for (const key of this.#writes.keys()) {
			const write = key.startsWith(prefix) ? this.#writeUnderWay(key) : undefined;
			if (write?.entry) found.set(key, write.entry.writtenAt);
			else if (write) found.delete(key);
		}
		return Array.from(found, ([key, at]) => ({ name: key.slice(prefix.length), writtenAt: at }));
	}

	/** @throws `SESSION_INFO_WRITE_FAILED` */
	put(key: string, text: string): Promise<void> {
		return this.#write(key, { text, writtenAt: Math.floor(Date.now() / 1000) });
	}

	/** @throws `SESSION_INFO_WRITE_FAILED` */
	delete(key: string): Promise<void> {
		return this.#write(key, undefined);
	}

	/**
	 * Put what was read at `readAt` again, so that it lives on; not where this instance has written the key since, because
	 * what was read is then no longer true.
	 * @param readAt `Date.now()` before the read
	 * @throws `SESSION_INFO_WRITE_FAILED`
	 */
	async renew(key: string, text: string, readAt: number): Promise<void> {
		const write = this.#writes.get(key);
		if (write && (write.underWay > 0 || write.startedAt >= readAt)) return;
		await this.put(key, text);
	}

	/**
	 * Two writes of one key that overlap reach KV in any order. So each, when it is done, looks whether a newer one has
	 * begun meanwhile, and if so writes that one's entry once more: the last to finish leaves the newest entry. Each does
	 * so for itself, because a request cannot wait for another's promise.
	 */
	async #write(key: string, entry: Entry | undefined): Promise<void> {
		const { underWay = 0 } = this.#writes.get(key) ?? {};
		const own: Write = { entry, startedAt: Date.now(), underWay: underWay + 1 };
		const newest = () => this.#writes.get(key) ?? own;
		this.#writes.delete(key);
		this.#writes.set(key, own);
		try {
			let applied: Entry | undefined;
			do {
				applied = await withRetry(WRITE_RETRIES, () => this.#apply(key, newest().entry));
			} while (applied !== newest().entry);
		} catch (error) {
			if (error instanceof SessionManagerError) throw error;
			throw new SessionManagerError(
				'SESSION_INFO_WRITE_FAILED',
				`KV did not take a write of the key ${await keyWithoutSessionId(key)} (${String(error)}).`,
				{ cause: error },
			);
		} finally {
			newest().underWay--;
			this.#forgetOldWrites();
		}
	}

	/** @returns what was written */
	async #apply(key: string, entry: Entry | undefined): Promise<Entry | undefined> {
		if (entry) {
			const options = { expirationTtl: this.#ttl, metadata: { at: entry.writtenAt } };
			await this.#namespace().put(key, entry.text, options);
		} else {
			await this.#namespace().delete(key);
		}
		return entry;
	}

	#writeUnderWay(key: string): Write | undefined {
		const write = this.#writes.get(key);
		return write && write.underWay > 0 && isRemembered(write) ? write : undefined;
	}

	#forgetOldWrites(): void {
		for (const [key, write] of this.#writes) {
			if (isRemembered(write)) return;
			this.#writes.delete(key);
		}
	}
}

function isRemembered({ startedAt }: Write): boolean {
	return Date.now() - startedAt < WRITE_MEMORY_MS;
}

function writtenAt(metadata: unknown): number {
	return v.is(MetadataSchema, metadata) ? metadata.at : 0;
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
