import * as v from 'valibot';
import { SessionManagerError, type SessionManagerErrorCode } from '../../errors.ts';
import { type RetryPolicy, withRetry } from '../routing/retry.ts';
import { keyWithoutSessionId } from './kv-keys.ts';

/**
 * KV takes one write a second to one key, and answers 429 to more (https://developers.cloudflare.com/kv/platform/limits/).
 * The pauses add up to less than the 30 seconds for which `waitUntil` keeps a finished request alive.
 */
const WRITE_RETRIES: RetryPolicy = {
	of: 'kv',
	attempts: 5,
	baseMs: 1_000,
	maxMs: 8_000,
	isRetryable: (error) =>
		error instanceof Error && /\b429\b|too many requests/i.test(error.message),
};

/**
 * How long this instance remembers what it wrote, in milliseconds. A write that takes longer died with its request, for
 * which `waitUntil` had run out; and KV serves what it had before a write for no longer than that
 * (https://developers.cloudflare.com/kv/concepts/how-kv-works/#consistency).
 */
const WRITE_MEMORY_MS = 60_000;

/** What is stored under a key. */
export interface Entry {
	key: string;
	/** Not known, and empty here, where the key was listed. */
	text: string;
	/** In seconds since 1970; 0 where that is not known. */
	writtenAt: number;
}

const MetadataSchema = v.looseObject({ at: v.number() });

/** The writes of one key by this instance. */
interface Writes {
	/** What the newest one writes; `undefined` for a deletion. */
	entry: Entry | undefined;
	/** Whether the newest one writes what was stored before. */
	isRenewal: boolean;
	/** When the newest one began, in milliseconds since 1970. */
	startedAt: number;
	/** How many have not finished. */
	underWay: number;
	/** Whether KV may have stored an older one last, because two were under way at once. */
	haveOverlapped: boolean;
}

/**
 * Workers KV with what it lacks for our use: expiry and the time of writing on every key, retries, an order among the
 * writes of one key, and reads that see the writes which this instance has not finished. (Another instance may see them
 * 60 seconds late.)
 */
export class KVStore {
	#namespace: () => KVNamespace;
	#ttl: number;
	/** By key, in the order in which the newest writes began. */
	#writes = new Map<string, Writes>();

	/** @param ttl how long a key lives after it was written, in seconds */
	constructor(namespace: () => KVNamespace, ttl: number) {
		this.#namespace = namespace;
		this.#ttl = ttl;
	}

	/** Read up to 100 keys in one operation. @throws `SESSION_INFO_READ_FAILED` */
	async read(keys: string[]): Promise<(Entry | undefined)[]> {
		const found = await reading(() => this.#namespace().getWithMetadata(keys, 'text'));
		return keys.map((key) => {
			const { value = null, metadata } = found.get(key) ?? {};
			return this.#withWrites(key, value === null ? undefined : entryOf(key, value, metadata));
		});
	}

	/** All keys whose names begin with `prefix`. @throws `SESSION_INFO_READ_FAILED` */
	async list(prefix: string): Promise<Entry[]> {
		const found = new Map<string, Entry | undefined>();
		let cursor: string | undefined;
		do {
			const page = await reading(() =>
				this.#namespace().list({ prefix, ...(cursor === undefined ? {} : { cursor }) }),
			);
			for (const { name, metadata } of page.keys) found.set(name, entryOf(name, '', metadata));
			cursor = page.list_complete ? undefined : page.cursor;
		} while (cursor !== undefined);
		for (const key of this.#writes.keys()) {
			if (key.startsWith(prefix) && !found.has(key)) found.set(key, undefined);
		}
		return Array.from(found).flatMap(([key, entry]) => this.#withWrites(key, entry) ?? []);
	}

	/** @throws `SESSION_INFO_WRITE_FAILED` */
	put(key: string, text: string): Promise<void> {
		return this.#write(key, entryOf(key, text));
	}

	/** @throws `SESSION_INFO_WRITE_FAILED` */
	delete(key: string): Promise<void> {
		return this.#write(key, undefined);
	}

	/**
	 * Write what was read at `readAt` again, so that its expiry is put off. It does nothing where this instance has written
	 * the key since, because what was read is then out of date.
	 * @param readAt `Date.now()` before the read
	 * @throws `SESSION_INFO_WRITE_FAILED`
	 */
	async renew(key: string, text: string, readAt: number): Promise<void> {
		const writes = this.#writes.get(key);
		if (writes && (writes.underWay > 0 || writes.startedAt >= readAt)) return;
		await this.#write(key, entryOf(key, text), true);
	}

	/**
	 * KV may store two writes of one key that overlap in either order. So the last one to finish writes the newest entry
	 * once more, while no other is under way. It does so in its own request, because a request cannot wait for another's
	 * promise.
	 */
	async #write(key: string, entry: Entry | undefined, isRenewal = false): Promise<void> {
		const writes = this.#begin(key, entry, isRenewal);
		try {
			do {
				if (writes.underWay === 1) writes.haveOverlapped = false;
				await withRetry(WRITE_RETRIES, () => this.#apply(key, writes.entry));
			} while (writes.underWay === 1 && writes.haveOverlapped);
		} catch (error) {
			const name = await keyWithoutSessionId(key);
			throw coded('SESSION_INFO_WRITE_FAILED', `KV did not take a write of the key ${name}`, error);
		} finally {
			writes.underWay--;
			this.#forgetOldWrites();
		}
	}

	#begin(key: string, entry: Entry | undefined, isRenewal: boolean): Writes {
		const writes = this.#recentWrites(key) ?? { underWay: 0 };
		const underWay = writes.underWay + 1;
		const begun = Object.assign(writes, {
			entry,
			isRenewal,
			startedAt: Date.now(),
			underWay,
			haveOverlapped: underWay > 1,
		});
		this.#writes.delete(key);
		this.#writes.set(key, begun);
		return begun;
	}

	async #apply(key: string, entry: Entry | undefined): Promise<void> {
		if (entry) {
			const options = { expirationTtl: this.#ttl, metadata: { at: entry.writtenAt } };
			await this.#namespace().put(key, entry.text, options);
		} else {
			await this.#namespace().delete(key);
		}
	}

	/**
	 * What KV answered, corrected by what this instance knows better: what it is writing, and that it has renewed a key. KV
	 * may go on serving what it had before a renewal, which looks as if it were due for another one.
	 */
	#withWrites(key: string, found: Entry | undefined): Entry | undefined {
		const { entry, isRenewal, underWay = 0 } = this.#recentWrites(key) ?? {};
		if (underWay > 0) return entry;
		return found && entry && isRenewal ? { ...found, writtenAt: entry.writtenAt } : found;
	}

	#recentWrites(key: string): Writes | undefined {
		const writes = this.#writes.get(key);
		return writes && isRecent(writes) ? writes : undefined;
	}

	#forgetOldWrites(): void {
		for (const [key, writes] of this.#writes) {
			if (isRecent(writes)) return;
			this.#writes.delete(key);
		}
	}
}

/** @param metadata as it was stored; by default that of now */
function entryOf(
	key: string,
	text: string,
	metadata: unknown = { at: Math.floor(Date.now() / 1000) },
): Entry {
	return { key, text, writtenAt: v.is(MetadataSchema, metadata) ? metadata.at : 0 };
}

function isRecent({ startedAt }: Writes): boolean {
	return Date.now() - startedAt < WRITE_MEMORY_MS;
}

async function reading<T>(read: () => Promise<T>): Promise<T> {
	try {
		return await read();
	} catch (error) {
		throw coded('SESSION_INFO_READ_FAILED', 'KV could not be read. Try again later', error);
	}
}

/** An error of KV with our code. One that has a code keeps it: it is about the binding. */
function coded(code: SessionManagerErrorCode, what: string, cause: unknown): SessionManagerError {
	if (cause instanceof SessionManagerError) return cause;
	return new SessionManagerError(code, `${what} (${String(cause)}).`, { cause });
}
