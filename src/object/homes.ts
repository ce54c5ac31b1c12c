import { FIRST_HOME } from '../wire/home.ts';

const HOMES_KEY = 'tmcp:homes';

/**
 * Which homes there are beside the first one, in the first one: each is noted before a session or a listen stream begins
 * in it. None is ever forgotten, because somebody may just be beginning a session there.
 */
export class Homes {
	#storage: DurableObjectStorage;
	#hasSqlite: boolean;
	#cache: readonly string[] | undefined;

	constructor(storage: DurableObjectStorage, hasSqlite: boolean) {
		this.#storage = storage;
		this.#hasSqlite = hasSqlite;
	}

	get all(): readonly string[] {
		return (this.#cache ??= [
			FIRST_HOME,
			...((this.#hasSqlite && this.#storage.kv.get<string[]>(HOMES_KEY)) || []),
		]);
	}

	add(home: string): void {
		if (this.all.includes(home)) return;
		const all = [...this.all, home];
		this.#storage.kv.put(HOMES_KEY, all.slice(1));
		this.#cache = all;
	}
}
