import { setTimeout as wait } from 'node:timers/promises';
import type { Random } from '../torture/random.ts';
import { ask } from './ask.ts';
import { formatMessage } from './message.ts';
import type { Session } from './session.ts';
import type { World } from './world.ts';

/** How many messages are under way at once. */
const CONCURRENT_SENDS = 8;

/**
 * How many messages half of the clients may be behind before nothing more is sent: the object confirms what it has
 * written, and on a slow machine would get further and further ahead of the streams.
 */
const MAX_BEHIND = 100;

/** How long a message is tried, in milliseconds: its id is remembered for a minute. */
const TRY_LIMIT_MS = 50_000;

/** Sends numbered messages, each with an id by which it is tried again until it is confirmed. */
export class Sender {
	#random: Random;
	#world: World;
	#sessions: readonly Session[];
	#intervalMs: number;

	/**
	 * @param sessions all sessions of the run, those that are over included
	 * @param rate messages a second, at most
	 */
	constructor(random: Random, world: World, sessions: readonly Session[], rate: number) {
		this.#random = random;
		this.#world = world;
		this.#sessions = sessions;
		this.#intervalMs = 1_000 / rate;
	}

	/** Until it is told to stop; resolves when all is confirmed. */
	async run(stop: AbortSignal): Promise<void> {
		const sending = new Set<Promise<void>>();
		let due = performance.now();
		while (!stop.aborted) {
			if (sending.size >= CONCURRENT_SENDS) await Promise.race(sending);
			if (this.#behind > MAX_BEHIND) {
				await wait(20);
				continue;
			}
			const send: Promise<void> = this.#send().then(() => void sending.delete(send));
			sending.add(send);
			due = Math.max(due + this.#intervalMs, performance.now());
			await wait(Math.max(0, due - performance.now()));
		}
		await Promise.all(sending);
	}

	async #send(): Promise<void> {
		const random = this.#random;
		const to = this.#pickAddressees();
		const id = random.uuid();
		const data = formatMessage(
			this.#world.sent.length,
			random.below(100) === 0 ? 20_000 : random.below(200),
		);
		const again = random.below(10) === 0 ? random.below(100) : undefined;
		const sent = { to, triedAt: this.#world.tick(), confirmedAt: undefined as number | undefined };
		this.#world.sent.push(sent);
		const sessions = to?.map((index) => this.#sessions[index]?.id);
		if (!(await this.#tryUntilConfirmed({ sessions, id, data }))) {
			this.#world.count('unconfirmed');
			return;
		}
		sent.confirmedAt = this.#world.tick();
		if (again === undefined) return;
		await wait(again);
		this.#world.count('sent again');
		await this.#tryUntilConfirmed({ sessions, id, data });
	}

	/** The median of the messages that were sent after the last one that a client has. */
	get #behind(): number {
		const { length } = this.#world.sent;
		const behind = this.#sessions
			.filter((session) => session.isPresent)
			.map((session) => length - 1 - session.newest)
			.toSorted((a, b) => a - b);
		return behind[Math.floor(behind.length / 2)] ?? 0;
	}

	/** Most go to all: that is what makes many deliveries. */
	#pickAddressees(): number[] | undefined {
		if (this.#random.below(4) > 0) return undefined;
		const present = [...this.#sessions.keys()].filter((index) => this.#sessions[index]?.isPresent);
		const to = new Set(
			Array.from(
				{ length: 1 + this.#random.below(3) },
				() => present[this.#random.below(present.length)],
			),
		);
		return [...to].filter((index) => index !== undefined);
	}

	async #tryUntilConfirmed(broadcast: object): Promise<boolean> {
		const limit = Date.now() + TRY_LIMIT_MS;
		const url = new URL('/control/broadcast', this.#world.url);
		while (Date.now() < limit) {
			const answer = await ask('POST', url, {}, broadcast).catch(() => undefined);
			if (answer?.status === 200) return true;
			if (answer && answer.status !== 503)
				throw new Error(`A broadcast was answered ${answer.status}: ${answer.text}`);
			this.#world.count('tried again');
			await wait(10 + this.#random.below(40));
		}
		return false;
	}
}
