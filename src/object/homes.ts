import { FIRST_HOME, HOME_LEASE_GRACE_MS, HOME_LEASE_MS } from '../wire/home.ts';

const HOMES_KEY = 'tmcp:homes';
const USED_KEY = 'tmcp:homes_used';

/** How late the time of a registration may be in storage: it is written twice in a lease at most. */
const LATENESS_MS = HOME_LEASE_MS / 2;

/**
 * For how long a home is known after its last registration: the last lease and its grace are over by then, and what began
 * with it is there.
 */
const MEMORY_MS = LATENESS_MS + HOME_LEASE_MS + HOME_LEASE_GRACE_MS + HOME_LEASE_MS / 2;

/**
 * Which homes there are beside the first one, in the first one. Whoever begins something in a home has registered it not
 * longer ago than {@link HOME_LEASE_MS}, or {@link HOME_LEASE_GRACE_MS} more where this object has not answered. So one
 * that was not registered for longer, and in which nothing lives, can be forgotten: nothing begins there before it is
 * registered again.
 */
export class Homes {
	/** `undefined` for a class without SQLite, which has no other homes. */
	#kv: SyncKvStorage | undefined;
	#cache: readonly string[] | undefined;
	#usedCache: Record<string, number> | undefined;

	constructor(kv: SyncKvStorage | undefined) {
		this.#kv = kv;
	}

	get all(): readonly string[] {
		return (this.#cache ??= [FIRST_HOME, ...(this.#kv?.get<string[]>(HOMES_KEY) ?? [])]);
	}

	add(home: string, now: number): void {
		if (!this.all.includes(home)) this.#put([...this.all, home]);
		if ((this.#used[home] ?? 0) < now - LATENESS_MS) this.#putUsed({ ...this.#used, [home]: now });
	}

	/** Forget those of some vacant homes that were not registered for long. */
	forget(vacant: ReadonlySet<string>, now: number): void {
		const isForgotten = (home: string) =>
			home !== FIRST_HOME && vacant.has(home) && (this.#used[home] ?? 0) < now - MEMORY_MS;
		const kept = this.all.filter((home) => !isForgotten(home));
		if (kept.length === this.all.length) return;
		this.#put(kept);
		this.#putUsed(Object.fromEntries(kept.map((home) => [home, this.#used[home] ?? 0])));
	}

	get #used(): Record<string, number> {
		return (this.#usedCache ??= this.#kv?.get<Record<string, number>>(USED_KEY) ?? {});
	}

	#put(all: readonly string[]): void {
		this.#kv?.put(HOMES_KEY, all.slice(1));
		this.#cache = all;
	}

	#putUsed(used: Record<string, number>): void {
		this.#kv?.put(USED_KEY, used);
		this.#usedCache = used;
	}
}
