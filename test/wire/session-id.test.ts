import { describe, expect, it } from 'vitest';
import { isSessionId } from '../../src/wire/arguments.ts';
import { formatHome, objectNameOf, parseHome, REGIONS, shardOf } from '../../src/wire/home.ts';
import { formatSessionId, newPayload, readSessionId } from '../../src/wire/session-id.ts';

const signature = new Uint8Array(16).fill(255);

describe('a signed session id', () => {
	it.each(['0', '3', '999', 'weur-3', 'apac-ne-0'])('names its home: %s', (home) => {
		const payload = newPayload(home);
		const id = formatSessionId(payload, signature);
		const madeAt: unknown = expect.any(Number);
		expect(readSessionId(id)).toEqual({
			home,
			madeAt,
			payload,
			signature: '_____________________w',
		});
		expect(isSessionId(id)).toBe(true);
	});

	it.each([
		['today', '2026-11-24T12:34:56.789Z'],
		['when the time gets a digit more', '2038-12-24T05:45:36.000Z'],
		['in the next century', '2100-01-01T00:00:00.000Z'],
	])('tells to the second when it was made: %s', (_, date) => {
		const id = formatSessionId(newPayload('weur-3', Date.parse(date)), signature);
		const made = Math.floor(Date.parse(date) / 1_000) * 1_000;
		expect(readSessionId(id)?.madeAt).toBe(made);
	});

	it('is never the same twice', () => {
		expect(new Set(Array.from({ length: 1_000 }, () => newPayload('0'))).size).toBe(1_000);
	});

	const random = 'A'.repeat(22);
	const start = '0.tmo5q8';
	it.each([
		['a UUID', crypto.randomUUID()],
		['one without a signature', `${start}.${random}`],
		['one without a time', `0.${random}.${random}`],
		['one with a time that is too long', `0.tmo5q8tmo5q8.${random}.${random}`],
		['one with too much', `${start}.${random}.${random}.${random}`],
		['one whose random part is short', `${start}.${random.slice(1)}.${random}`],
		['one whose last bits are not zero', `${start}.${random}.${random.slice(1)}B`],
		['one of a home with a zero before its number', `03.tmo5q8.${random}.${random}`],
		['one of a home with a number that is too large', `1000.tmo5q8.${random}.${random}`],
		['one of a home in no region', `mars-1.tmo5q8.${random}.${random}`],
		['one of a home without a number', `weur.tmo5q8.${random}.${random}`],
		['one of no home', `.tmo5q8.${random}.${random}`],
	])('is not %s', (_, id) => {
		expect(readSessionId(id)).toBeUndefined();
	});
});

describe('a home', () => {
	it('is read as it was written', () => {
		for (const region of [undefined, ...REGIONS]) {
			for (const index of [0, 7, 999]) {
				expect(parseHome(formatHome({ index, region }))).toEqual({ index, region });
			}
		}
	});

	it('has an object of its own, and the first one that which there was before', () => {
		expect(['0', '3', 'weur-0'].map(objectNameOf)).toEqual([
			'TMCP_DURABLE_OBJECT',
			'TMCP_DURABLE_OBJECT/3',
			'TMCP_DURABLE_OBJECT/weur-0',
		]);
	});

	it('has a number of its own in event ids', () => {
		const labels = [undefined, ...REGIONS].flatMap((region) =>
			[0, 999].map((index) => formatHome({ index, region })),
		);
		const shards = labels.map((label) => shardOf(objectNameOf(label)));
		expect(new Set(shards).size).toBe(labels.length);
		expect(Math.max(...shards)).toBeLessThan(100_000);
		expect([undefined, 'mine', 'mine/3', 'TMCP_DURABLE_OBJECT/x'].map(shardOf)).toEqual([
			0, 0, 0, 0,
		]);
	});
});
