import type { Command } from './commands.ts';
import { Inbox } from './inbox.ts';
import type { Streams } from './streams.ts';

const ATTACHES_AT_ONCE = 50;
const SENDS_AT_ONCE = 100;
const MIXED_IDS = 100;

/** A broadcast is 200 bytes, as tmcp's transports write them. */
const EVENT = event('');
const PAYLOAD = event('x'.repeat(200 - EVENT.length));

function event(text: string): string {
	return `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { data: text } })}\n\n`;
}

/**
 * The streams of one measurement. Two managers, because as a rule the Worker instance that sends is not the one that
 * holds the streams.
 */
export class Run {
	#holder: Streams;
	#sender: Streams;
	#inbox = new Inbox();
	/** Sessions with a stream, oldest first. */
	#open: string[] = [];
	/** Sessions whose client went away. */
	#left: string[] = [];

	constructor(holder: Streams, sender: Streams) {
		this.#holder = holder;
		this.#sender = sender;
	}

	/** @returns how long it took, in milliseconds */
	async do(command: Command): Promise<number> {
		const work = this.#prepare(command);
		const start = performance.now();
		await work();
		const ms = performance.now() - start;
		await this.#assertNothingMore();
		return ms;
	}

	/** What a command needs is made before the clock starts. */
	#prepare(command: Command): () => Promise<void> {
		switch (command.kind) {
			case 'attach':
				return this.#attach(newIds(command.count));
			case 'send':
				return this.#sendTo(command.to, command.times);
			case 'has':
				return this.#has(this.#some(command.times, 0));
			case 'delete':
				return this.#delete(this.#open.splice(0, command.count), command.atOnce);
			case 'fill':
				return this.#fill(command.events, command.addressees);
			case 'leave':
				return this.#leave(newIds(command.count));
			case 'owe':
				return this.#owe();
			case 'get':
				return this.#get(this.#left.splice(0, command.count));
		}
	}

	#attach(ids: string[]) {
		this.#open.push(...ids);
		return () => inParallel(ids, ATTACHES_AT_ONCE, (id) => this.#create(id));
	}

	/**
	 * As `HttpTransport` does it: the manager gets the controller of a response, and is told when its client goes away.
	 * @returns how the client goes away
	 */
	async #create(id: string): Promise<() => Promise<void>> {
		const created = Promise.withResolvers<void>();
		const body = new ReadableStream<Uint8Array>({
			start: (controller) =>
				void this.#holder.create(id, controller).then(created.resolve, created.reject),
			cancel: () => this.#holder.delete(id),
		});
		const leave = this.#inbox.open(body);
		await created.promise;
		return leave;
	}

	#sendTo(to: 'all' | 'one' | 'half' | 'mixed', times: number) {
		const audiences = Array.from({ length: times }, (_, index) => this.#audience(to, index));
		return async () => {
			for (const { ids, reached } of audiences) {
				const expected = this.#inbox.received + reached;
				await this.#sender.send(ids, PAYLOAD);
				await this.#inbox.untilReceived(expected);
			}
		};
	}

	#audience(to: 'all' | 'one' | 'half' | 'mixed', index: number) {
		const everyone = this.#open.length;
		if (to === 'all') return { ids: undefined, reached: everyone };
		if (to === 'one') return { ids: this.#some(1, index), reached: 1 };
		if (to === 'half') {
			const ids = this.#open.filter((_, place) => place % 2 === 0);
			return { ids, reached: ids.length };
		}
		const known = this.#some(Math.min(MIXED_IDS / 2, everyone), index);
		return { ids: known.flatMap((id) => [id, crypto.randomUUID()]), reached: known.length };
	}

	/** Sessions from all over the place, others for each `seed`. */
	#some(count: number, seed: number): string[] {
		const { length } = this.#open;
		return Array.from({ length: count }, (_, index) => {
			return this.#open[((seed + index) * 7_919) % length] ?? '';
		});
	}

	#has(ids: string[]) {
		return async () => {
			for (const id of ids) {
				if (!(await this.#sender.has(id))) throw new Error('A session has no stream.');
			}
		};
	}

	#delete(ids: string[], atOnce: number) {
		return async () => {
			const expected = this.#inbox.ended + ids.length;
			await inParallel(ids, atOnce, (id) => this.#sender.delete(id));
			await this.#inbox.untilEnded(expected);
		};
	}

	#fill(events: number, addressees: number) {
		const audiences = Array.from({ length: events }, (_, index) =>
			this.#some(addressees, index * addressees),
		);
		return async () => {
			const expected = this.#inbox.received + events * addressees;
			await inParallel(audiences, SENDS_AT_ONCE, (ids) => this.#sender.send(ids, PAYLOAD));
			await this.#inbox.untilReceived(expected);
		};
	}

	#leave(ids: string[]) {
		this.#left.push(...ids);
		return () =>
			inParallel(ids, ATTACHES_AT_ONCE, async (id) => {
				const leave = await this.#create(id);
				await leave();
			});
	}

	#owe() {
		return () => inParallel(this.#left, SENDS_AT_ONCE, (id) => this.#sender.send([id], PAYLOAD));
	}

	#get(ids: string[]) {
		this.#open.push(...ids);
		return async () => {
			for (const id of ids) {
				const expected = this.#inbox.received + 1;
				await this.#create(id);
				await this.#inbox.untilReceived(expected);
			}
		};
	}

	/** One who got an event twice, or that was not for it, would make the next command look fast. */
	async #assertNothingMore(): Promise<void> {
		const { received } = this.#inbox;
		await this.#sender.has('nobody');
		if (this.#inbox.received > received) throw new Error('More was received than was sent.');
	}
}

function newIds(count: number): string[] {
	return Array.from({ length: count }, () => crypto.randomUUID());
}

/** Never more than `atOnce` at a time, and the next one starts as soon as one is done. */
async function inParallel<Item>(
	items: readonly Item[],
	atOnce: number,
	work: (item: Item) => Promise<unknown>,
): Promise<void> {
	const rest = items.values();
	const lane = async () => {
		for (const item of rest) await work(item);
	};
	await Promise.all(Array.from({ length: atOnce }, lane));
}
