import { runInDurableObject } from 'cloudflare:test';
import { vi } from 'vitest';
import type { SyncLayer } from '../../src/index.ts';
import { BY_A_TEST } from './socket.ts';

/** What an operation asked of an object's storage: what is billed, and how often SQLite was asked. */
export interface Costs {
	statements: number;
	/** Rows read and written, those of indexes included. */
	read: number;
	written: number;
	/** Keys that were read and written beside the tables. */
	keysRead: number;
	keysWritten: number;
	/** How often the alarm was set. */
	alarms: number;
}

/** Counts all that the objects of this isolate ask of their storage, until mocks are restored. */
export class CostMeter {
	#cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
	#keysRead = 0;
	#keysWritten = 0;
	#alarms = 0;

	/** @param object any one: they share the prototypes that are watched */
	static async watch(object: DurableObjectStub<SyncLayer>): Promise<CostMeter> {
		const meter = new CostMeter();
		await runInDurableObject(object, (_, { storage }) => meter.#watch(storage));
		return meter;
	}

	/** Count from now on. The object is not woken. */
	reset(): void {
		this.#cursors.length = 0;
		[this.#keysRead, this.#keysWritten, this.#alarms] = [0, 0, 0];
	}

	/** What was asked since it was reset. */
	async read(object: DurableObjectStub<SyncLayer>): Promise<Costs> {
		return runInDurableObject(object, () => this.readInside());
	}

	/** The same for a test that runs in the object already. */
	readInside(): Costs {
		const sum = (of: 'rowsRead' | 'rowsWritten') =>
			this.#cursors.reduce((total, cursor) => total + cursor[of], 0);
		return {
			statements: this.#cursors.length,
			read: sum('rowsRead'),
			written: sum('rowsWritten'),
			keysRead: this.#keysRead,
			keysWritten: this.#keysWritten,
			alarms: this.#alarms,
		};
	}

	#watch(storage: DurableObjectStorage): void {
		const onCursor = (cursor: SqlStorageCursor<Record<string, SqlStorageValue>>) =>
			void this.#cursors.push(cursor);
		spy(storage.sql, 'exec', onCursor, ([statement]) => !String(statement).startsWith(BY_A_TEST));
		spy(storage.kv, 'get', () => void this.#keysRead++);
		spy(storage.kv, 'put', () => void this.#keysWritten++);
		spy(storage.kv, 'delete', () => void this.#keysWritten++);
		spy(storage, 'setAlarm', () => void this.#alarms++);
	}
}

/** Call a method of an object's class as before, and tell what it answered. */
function spy(
	of: object,
	method: string,
	onAnswer: (answer: never) => void,
	counts: (args: unknown[]) => boolean = () => true,
): void {
	const prototype: Record<string, (...args: unknown[]) => unknown> = Object.getPrototypeOf(of);
	const original = prototype[method];
	if (!original) throw new Error(`${method} is no method.`);
	vi.spyOn(prototype, method).mockImplementation(function (this: unknown, ...args) {
		const answer = original.apply(this, args);
		if (counts(args)) onAnswer(answer as never);
		return answer;
	});
}
