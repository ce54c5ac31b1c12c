import { isOfThisRequest } from './this-request.ts';

/** What waits to be sent together, in order. */
interface Lane<Item> {
	/** An object of the request that the lane belongs to: the runtime refuses any other request access to its state. */
	mark: WebSocket;
	waiting: { items: Item[]; bytes: number; sent: Promise<void> } | undefined;
	/** Settles when all that left has arrived. */
	last: Promise<void>;
	/** When it was used last, in milliseconds since 1970. */
	usedAt: number;
}

/** After this time a request that has not sent what it had never will: its `waitUntil` has run out. */
const LANE_LIMIT_MS = 60_000;

/**
 * Sends what one request gives it in order: calls on different stubs may overtake one another, so one leaves when the one
 * before has arrived, and what is given meanwhile leaves together. Each request has a lane of its own, because none can
 * wait for another's promise.
 */
export class Outbox<Item> {
	#send: (items: readonly Item[]) => Promise<void>;
	#maxBytes: number;
	#lanes = new Set<Lane<Item>>();

	/** @param maxBytes how much may leave together */
	constructor(send: (items: readonly Item[]) => Promise<void>, maxBytes: number) {
		this.#send = send;
		this.#maxBytes = maxBytes;
	}

	/** @returns when it has arrived; rejects where it could not be sent */
	add(item: Item, bytes: number): Promise<void> {
		const lane = this.#laneOfThisRequest();
		if (!lane.waiting || lane.waiting.bytes + bytes > this.#maxBytes) this.#open(lane);
		const { waiting } = lane;
		if (!waiting) return lane.last;
		waiting.items.push(item);
		waiting.bytes += bytes;
		return waiting.sent;
	}

	#open(lane: Lane<Item>): void {
		const items: Item[] = [];
		const sent = this.#sendAfter(lane.last, lane, items);
		lane.waiting = { items, bytes: 0, sent };
		lane.last = sent.then(ignore, ignore);
		void this.#closeAfter(lane.last, lane);
	}

	async #closeAfter(last: Promise<void>, lane: Lane<Item>): Promise<void> {
		await last;
		if (lane.last === last) this.#lanes.delete(lane);
	}

	async #sendAfter(before: Promise<void>, lane: Lane<Item>, items: Item[]): Promise<void> {
		await before;
		if (lane.waiting?.items === items) lane.waiting = undefined;
		await this.#send(items);
	}

	#laneOfThisRequest(): Lane<Item> {
		const usedAt = Date.now();
		for (const lane of this.#lanes) {
			if (isOfThisRequest(lane.mark)) return Object.assign(lane, { usedAt });
			if (usedAt - lane.usedAt > LANE_LIMIT_MS) this.#lanes.delete(lane);
		}
		const lane = {
			mark: new WebSocketPair()[0],
			waiting: undefined,
			last: Promise.resolve(),
			usedAt,
		};
		this.#lanes.add(lane);
		return lane;
	}
}

function ignore(): void {}
