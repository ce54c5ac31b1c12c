/** What was put on a response and its client has not read yet. */
export class ClientQueue {
	#chunks: { bytes: number; seq: number | undefined }[] = [];
	#bytes = 0;
	#takenSeq: number | undefined;

	/** Bytes that wait for the client. */
	get bytes(): number {
		return this.#bytes;
	}

	get isEmpty(): boolean {
		return this.#chunks.length === 0;
	}

	/** The place of the last event that the client took, or of the one after which its stream began. */
	get takenSeq(): number | undefined {
		return this.#takenSeq;
	}

	/** The stream begins after a place. */
	begin(after: number): void {
		this.#takenSeq ??= after;
	}

	add(bytes: number, seq: number | undefined): void {
		this.#chunks.push({ bytes, seq });
		this.#bytes += bytes;
	}

	/** There was nothing more for the client up to a place: it is there once it has taken what waits. */
	moveTo(seq: number): void {
		const last = this.#chunks.at(-1);
		if (last) last.seq = seq;
		else this.#takenSeq = seq;
	}

	/** Say how many chunks still wait; all before them were taken. */
	keep(waiting: number): void {
		const taken = this.#chunks.splice(0, Math.max(0, this.#chunks.length - waiting));
		for (const { bytes, seq } of taken) {
			this.#bytes -= bytes;
			this.#takenSeq = seq ?? this.#takenSeq;
		}
	}
}
