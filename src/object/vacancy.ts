import { SYNC_LAYER_NAME } from '../wire/names.ts';
import { END_TTL_MS } from './subscriptions/subscription-ends.ts';

/** How often it is looked whether something still lives in an object where something did, in milliseconds. */
const LOOK_PAUSE_MS = 60_000;

const SINCE_KEY = 'tmcp:vacant_since';

/**
 * For how long nothing has lived in the object. A listen stream that is between two sockets leaves no trace, nor does a
 * session's stream without a log: the object counts as vacant once such a one must have come back.
 */
export class Vacancy {
	#ctx: DurableObjectState;
	#sql: SqlStorage;
	/** When something was found to live there, in milliseconds since 1970. */
	#occupiedAt = 0;
	/** In milliseconds since 1970; `null` where it is not known yet. */
	#since: number | undefined | null = null;

	constructor(ctx: DurableObjectState, sql: SqlStorage) {
		this.#ctx = ctx;
		this.#sql = sql;
	}

	/**
	 * Whether nothing lives there any more, for good. A session that has ended counts until it is forgotten: late calls have
	 * to find it. Sockets are looked at last, and once in a while only, because that wakes all of them. The first home is
	 * never forgotten, so nothing is asked there.
	 * @param isOpening whether a socket is just being opened
	 */
	isOver(now: number, isOpening: () => boolean): boolean {
		const isFirstHome = this.#ctx.id.name === SYNC_LAYER_NAME;
		if (isFirstHome || now < this.#occupiedAt + LOOK_PAUSE_MS) return false;
		const isEmpty =
			this.#sql.exec('SELECT 1 FROM tmcp_sessions LIMIT 1').toArray().length === 0 &&
			!isOpening() &&
			this.#ctx.getWebSockets().length === 0;
		if (!isEmpty) {
			this.#occupiedAt = now;
			return false;
		}
		const since = this.#read();
		if (since !== undefined) return since < now - END_TTL_MS;
		this.#ctx.storage.kv.put(SINCE_KEY, now);
		this.#since = now;
		return false;
	}

	/** Something begins that leaves no trace. */
	end(): void {
		if (this.#read() === undefined) return;
		this.#ctx.storage.kv.delete(SINCE_KEY);
		this.#since = undefined;
	}

	#read(): number | undefined {
		if (this.#since === null) this.#since = this.#ctx.storage.kv.get<number>(SINCE_KEY);
		return this.#since;
	}
}
