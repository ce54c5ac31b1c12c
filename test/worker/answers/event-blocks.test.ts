import { array, assert, constantFrom, integer, property, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventBlocks } from '../../../src/worker/answers/event-blocks.ts';
import { readRequestEvents } from '../../../src/worker/answers/messages.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (parts: Uint8Array[]) => parts.map((part) => new TextDecoder().decode(part));

/** The blocks of a text, and what is left, where it comes in pieces of that length. */
function cut(of: string, pieceLength = Infinity) {
	const blocks = new EventBlocks();
	const all = bytes(of);
	const cuts: Uint8Array[] = [];
	for (let at = 0; at < all.length; at += pieceLength) {
		cuts.push(...blocks.cut(all.subarray(at, at + pieceLength)));
	}
	return { cuts, rest: blocks.takeRest() };
}

describe('an event stream is cut after each blank line', () => {
	it.each([
		['data: a\n\ndata: b\n\n', ['data: a\n\n', 'data: b\n\n'], ''],
		['data: a\r\n\r\ndata: b\r\n\r\n', ['data: a\r\n\r', '\ndata: b\r\n\r'], '\n'],
		['data: a\r\rdata: b\r\r', ['data: a\r\r', 'data: b\r\r'], ''],
		['data: a\ndata: b\n\n: c', ['data: a\ndata: b\n\n'], ': c'],
		[': connected\n\n\ndata: a\n', [': connected\n\n', '\n'], 'data: a\n'],
		['', [], ''],
	])('%j', (stream, blocks, rest) => {
		for (const pieceLength of [1, 2, 3, Infinity]) {
			const result = cut(stream, pieceLength);
			expect(text(result.cuts)).toEqual(blocks);
			expect(text([result.rest])).toEqual([rest]);
		}
	});
});

it('the blocks together are the stream, byte by byte, however it comes', () => {
	const line = constantFrom('data: é', 'data: {"id":1,"method":"x"}', ': c', 'event: message', '');
	const end = constantFrom('\n', '\r', '\r\n');
	assert(
		property(array(tuple(line, end)), integer({ min: 1, max: 20 }), (lines, length) => {
			const stream = lines.flat().join('');
			const { cuts, rest } = cut(stream, length);
			const whole = [...cuts, rest].flatMap((part) => [...part]);
			expect(whole).toEqual([...bytes(stream)]);
			for (const block of text(cuts))
				expect(readRequestEvents(block).length).toBeLessThanOrEqual(1);
		}),
	);
});

describe('a server’s request is found in an event', () => {
	const request = '{"jsonrpc":"2.0","id":1,"method":"roots/list"}';

	it.each([
		[`data: ${request}\n\n`],
		[`event: message\r\ndata: ${request}\r\n\r`],
		[`id: 7\rdata:${request}\r\r`],
		['data: {"id":1,\ndata: "method":"roots/list"}\n\n'],
		['data: {"id":"1","method":"roots/list"}\n\n'],
	])('%j', (event) => {
		expect(readRequestEvents(event)).toEqual([
			expect.objectContaining({ request: expect.objectContaining({ method: 'roots/list' }) }),
		]);
	});

	it.each([
		['data: {"method":"notifications/progress","params":{"id":1}}\n\n'],
		[String.raw`data: {"id":1,"result":{"text":"\"method\""}}` + '\n\n'],
		['data: {"id":null,"method":"x"}\n\n'],
		[`data: [${request}]\n\n`],
		[`: ${request}\n\n`],
		['data: "method" and "id"\n\n'],
	])('and not in %j', (event) => {
		expect(readRequestEvents(event)).toEqual([]);
	});
});
