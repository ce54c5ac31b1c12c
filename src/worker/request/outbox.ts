import { MAX_BATCH_ITEMS } from '../../wire/limits.ts';
import { isOfThisRequest } from './this-request.ts';

/** Items that are sent together. */
interface Batch<Item> {
	items: Item[];
	bytes: number;
	sent: Promise<void>;
}

/** What one request sends. */
interface Lane<Item> {
	/** Made by that request, which is how the lane is found: see {@link isOfThisRequest}. */
	mark: WebSocket;
	/** The batch that still takes items. */
	open: Batch<Item> | undefined;
	/** Settles when all batches have arrived. */
	last: Promise<void>;
	/** In milliseconds since 1970. */
	usedAt: number;
}

/** A request that has not sent its items after this time, in milliseconds, never will: its `waitUntil` has run out. */
const LANE_LIMIT_MS = 60_000;

/**
 * Sends the items of each request in order. Calls on different stubs may overtake one another, so a batch leaves when the
 * one before it has arrived; items that are added meanwhile leave together.
 *
 * Each request has a lane of its own, because a request cannot wait for another's promise.
 */
export class Outbox<Item> {
	#send: (items: readonly Item[]) => Promise<void>;
	#maxBytes: number;
	#lanes = new Set<Lane<Item>>();

	/** @param maxBytes how large a batch may be, in bytes */
	constructor(send: (items: readonly Item[]) => Promise<void>, maxBytes: number) {
		this.#send = send;
		this.#maxBytes = maxBytes;
	}

	/** @returns when the item has arrived; rejects where it could not be sent */
	add(item: Item, bytes: number): Promise<void> {
		const lane = this.#laneOfThisRequest();
		const { open } = lane;
		const hasRoom =
			open && open.items.length < MAX_BATCH_ITEMS && open.bytes + bytes <= this.#maxBytes;
		const batch = hasRoom ? open : this.#openBatch(lane);
		batch.items.push(item);
		batch.bytes += bytes;
		return batch.sent;
	}

	/** When all that this request has added so far has arrived, or could not be sent. */
	async idle(): Promise<void> {
		for (const lane of this.#lanes) if (isOfThisRequest(lane.mark)) await lane.last;
	}

	#openBatch(lane: Lane<Item>): Batch<Item> {
		const items: Item[] = [];
		const sent = lane.last.then(() => {
			if (lane.open?.items === items) lane.open = undefined;
			return this.#send(items);
		});
		const last = sent
			.catch(() => {})
			.finally(() => {
				if (lane.last === last) this.#lanes.delete(lane);
			});
		lane.last = last;
		lane.open = { items, bytes: 0, sent };
		return lane.open;
	}

	#laneOfThisRequest(): Lane<Item> {
		const usedAt = Date.now();
		for (const lane of this.#lanes) {
			if (isOfThisRequest(lane.mark)) return Object.assign(lane, { usedAt });
			if (usedAt - lane.usedAt > LANE_LIMIT_MS) this.#lanes.delete(lane);
		}
		const mark = new WebSocketPair()[0];
		const lane = { mark, open: undefined, last: Promise.resolve(), usedAt };
		this.#lanes.add(lane);
		return lane;
	}
}
