import { EVENT_OVERHEAD_BYTES } from '../../wire/limits.ts';

/**
 * How much may wait for all clients of an instance together, in bytes: a quarter of its memory
 * (https://developers.cloudflare.com/workers/platform/limits/#memory). Above that, each client has the smaller bound.
 */
const MAX_TOTAL_BYTES = 32 * 1024 * 1024;
const CROWDED_BOUND_BYTES = 64 * 1024;

/** How long a client may read nothing while something waits for it, in milliseconds. */
export const DEFAULT_READ_TIMEOUT_MS = 120_000;

/** How much waits in all queues of this instance, in bytes. */
let totalBytes = 0;

/** How much may wait for one client now, in bytes. @param bound while there is room for all */
export function boundNow(bound: number): number {
	return totalBytes < MAX_TOTAL_BYTES ? bound : Math.min(bound, CROWDED_BOUND_BYTES);
}

/** The chunks of a response that its client has not read yet. */
export class ClientQueue {
	#chunks: { bytes: number; seq: number | undefined }[] = [];
	#bytes = 0;
	#takenSeq: number | undefined;

	/** How much memory the unread chunks take, in bytes. */
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

	/** There is nothing more for the client up to a position: it has reached it once it has taken the chunks before. */
	moveTo(seq: number): void {
		const last = this.#chunks.at(-1);
		if (last) last.seq = seq;
		else this.#takenSeq = seq;
	}

	/**
	 * Remove all chunks but the last ones: the client has taken them.
	 * @param waiting how many chunks it has not taken
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

	/** Remove all chunks: nobody will read them. */
	drop(): void {
		this.#chunks = [];
		this.#weigh(-this.#bytes);
	}

	#weigh(bytes: number): void {
		this.#bytes += bytes;
		totalBytes += bytes;
	}
}
