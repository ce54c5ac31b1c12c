import { describe, expect, it } from 'vitest';
import { isSessionId } from '../../src/wire/arguments.ts';
import { formatHome, objectNameOf, parseHome, REGIONS, shardOf } from '../../src/wire/home.ts';
import { formatSessionId, newPayload, readSessionId } from '../../src/wire/session-id.ts';

const signature = new Uint8Array(16).fill(255);

describe('a signed session id', () => {
	it.each(['0', '3', '999', 'weur-3', 'apac-ne-0'])('names its home: %s', (home) => {
		const payload = newPayload(home);
		const id = formatSessionId(payload, signature);
		expect(readSessionId(id)).toEqual({ home, payload, signature: '_____________________w' });
		expect(isSessionId(id)).toBe(true);
	});

	it('is never the same twice', () => {
		expect(new Set(Array.from({ length: 1_000 }, () => newPayload('0'))).size).toBe(1_000);
	});

	const random = 'A'.repeat(22);
	it.each([
		['a UUID', crypto.randomUUID()],
		['one without a signature', `0.${random}`],
		['one with too much', `0.${random}.${random}.${random}`],
		['one whose random part is short', `0.${random.slice(1)}.${random}`],
		['one whose last bits are not zero', `0.${random}.${random.slice(1)}B`],
		['one of a home with a zero before its number', `03.${random}.${random}`],
		['one of a home with a number that is too large', `1000.${random}.${random}`],
		['one of a home in no region', `mars-1.${random}.${random}`],
		['one of a home without a number', `weur.${random}.${random}`],
		['one of no home', `.${random}.${random}`],
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
