import { concatenate } from '../content.ts';

const [LF, CR] = [10, 13];

/**
 * Cuts an event stream after the blank line that ends an event, so that each event is whole, and its bytes are as they
 * came. What an event says, `eventsource-parser` reads.
 */
export class EventBlocks {
	/** Of a block whose end has not come. */
	#parts: Uint8Array[] = [];
	#isLineEmpty = true;
	/** A line feed that comes now belongs to the line end before it. */
	#isAfterCR = false;

	/** @returns the blocks that are complete with this chunk */
	cut(chunk: Uint8Array): Uint8Array[] {
		const blocks: Uint8Array[] = [];
		let from = 0;
		for (let at = 0; at < chunk.length; at++) {
			if (!this.#endsBlock(chunk[at])) continue;
			this.#parts.push(chunk.subarray(from, at + 1));
			blocks.push(this.takeRest());
			from = at + 1;
		}
		if (from < chunk.length) this.#parts.push(chunk.subarray(from));
		return blocks;
	}

	/** What came after the last complete block. */
	takeRest(): Uint8Array {
		const parts = this.#parts.splice(0);
		const [only] = parts;
		return only && parts.length === 1 ? only : concatenate(parts);
	}

	#endsBlock(byte: number | undefined): boolean {
		const isRestOfCRLF = byte === LF && this.#isAfterCR;
		this.#isAfterCR = byte === CR;
		if (isRestOfCRLF) return false;
		const wasEmpty = this.#isLineEmpty;
		this.#isLineEmpty = byte === LF || byte === CR;
		return wasEmpty && this.#isLineEmpty;
	}
}
