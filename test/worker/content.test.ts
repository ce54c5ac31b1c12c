import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { array, assert, constantFrom, property, tuple } from 'fast-check';
import { expect, it } from 'vitest';
import { readEvents } from '../../src/worker/content.ts';

/** As a client reads the same text. */
function readByClient(text: string): EventSourceMessage[] {
	const events: EventSourceMessage[] = [];
	const parser = createParser({ onEvent: (event) => void events.push(event) });
	// It would wait for a line feed after a carriage return.
	parser.feed(text.replaceAll(/\r\n?/g, '\n'));
	return events;
}

it('an event stream is read as clients read it', () => {
	const field = constantFrom('data', 'id', 'event', 'retry', 'dat', 'DATA', ' data', '');
	const colon = constantFrom(': ', ':', ':  ', '', ' : ');
	const value = constantFrom('{"id":1,"method":"x"}', 'a:b', 'é', '\0', '7', ' ', '');
	const line = tuple(
		field,
		colon,
		value,
		constantFrom('\n', '\r', '\r\n', '\n\n', '\r\r', '\r\n\r\n'),
	);
	assert(
		property(array(line), constantFrom('', 'data: a', 'data: a\n'), (lines, rest) => {
			const text = lines.flat().join('') + rest;
			expect(readEvents(text)).toEqual(readByClient(text));
		}),
		{ numRuns: 2_000 },
	);
});

it('reading takes time that grows with the text, not faster', () => {
	for (const piece of ['\r', '\n', 'data:\n', 'data: x', ': ']) {
		expect(readEvents(`${piece.repeat(200_000)}\n\n`).length).toBeLessThanOrEqual(1);
	}
});
