import { EVENT_OVERHEAD_BYTES } from '../../wire/limits.ts';

/** What waits in several queues together, in bytes. */
export interface Total {
	bytes: number;
}

/** What was put on a response and its client has not read yet. */
export class ClientQueue {
	#total: Total;
	#chunks: { bytes: number; seq: number | undefined }[] = [];
	#bytes = 0;
	#takenSeq: number | undefined;

	/** @param total of all queues that share memory */
	constructor(total: Total = { bytes: 0 }) {
		this.#total = total;
	}

	/** Memory that waits for the client, in bytes. */
	get bytes(): number {
		return this.#bytes;
	}

	get isEmpty(): boolean {
		return this.#chunks.length === 0;
	}

	/** The position of the last event that the client took, or of the one after which its stream began. */
	get takenSeq(): number | undefined {
		return this.#takenSeq;
	}

	/** The stream begins after a position. */
	begin(after: number): void {
		this.#takenSeq ??= after;
	}

	add(chunkBytes: number, seq: number | undefined): void {
		const bytes = chunkBytes + EVENT_OVERHEAD_BYTES;
		this.#chunks.push({ bytes, seq });
		this.#weigh(bytes);
	}

	/** There was nothing more for the client up to a position: it is there once it has taken what waits. */
	moveTo(seq: number): void {
		const last = this.#chunks.at(-1);
		if (last) last.seq = seq;
		else this.#takenSeq = seq;
	}

	/**
	 * Say how many chunks still wait; all before them were taken.
	 * @returns whether any was
	 */
	keep(waiting: number): boolean {
		const count = Math.max(0, this.#chunks.length - waiting);
		if (count === 0) return false;
		for (const { bytes, seq } of this.#chunks.splice(0, count)) {
			this.#weigh(-bytes);
			this.#takenSeq = seq ?? this.#takenSeq;
		}
		return true;
	}

	/** Nobody reads what waits. */
	drop(): void {
		this.#chunks = [];
		this.#weigh(-this.#bytes);
	}

	#weigh(bytes: number): void {
		this.#bytes += bytes;
		this.#total.bytes += bytes;
	}
}
