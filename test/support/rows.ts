import { runInDurableObject } from 'cloudflare:test';
import { vi } from 'vitest';
import type { SyncLayer } from '../../src/index.ts';

export interface Rows {
	read: number;
	written: number;
}

/**
 * Count the rows that an object's SQLite reads and writes from now on, until `vi.restoreAllMocks()`.
 * @returns tells the rows since it was asked last
 */
export async function rowCounter(
	object: DurableObjectStub<SyncLayer>,
): Promise<() => Promise<Rows>> {
	const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
	await runInDurableObject(object, (_, { storage }) => {
		const prototype: SqlStorage = Object.getPrototypeOf(storage.sql);
		const { exec } = prototype;
		vi.spyOn(prototype, 'exec').mockImplementation(function (this: SqlStorage, ...of) {
			const cursor = exec.apply(this, of);
			cursors.push(cursor);
			return cursor as never;
		});
	});
	return () =>
		runInDurableObject(object, () => {
			const sum: Rows = { read: 0, written: 0 };
			for (const { rowsRead, rowsWritten } of cursors.splice(0)) {
				sum.read += rowsRead;
				sum.written += rowsWritten;
			}
			return sum;
		});
}
