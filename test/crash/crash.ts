import { setTimeout as wait } from 'node:timers/promises';
import { Random } from '../torture/random.ts';
import { judge, type Verdict } from '../torture/verdict.ts';
import { pickLifeMs } from './behaviour.ts';
import { Faults } from './faults.ts';
import { Installation } from './installation.ts';
import { Sender } from './sender.ts';
import { Session } from './session.ts';
import { Workerd } from './workerd.ts';
import { World } from './world.ts';

export interface CrashOptions {
	/** Decides sessions, messages, faults and their order, as far as the outside world allows: 0 to 2^32 - 1. */
	seed: number;
	/** How many sessions there are at a time. */
	sessions: number;
	/** Messages a second, at most. */
	rate: number;
	/** The disturbances go on for so many seconds at least, */
	seconds: number;
	/** and until there were so many kills */
	kills: number;
	/** and so many deliveries. */
	deliveries: number;
}

export interface Result extends Verdict {
	/** Messages that were sent. */
	messages: number;
	/** Sessions that there were in all. */
	served: number;
	/** How many logs the event ids came from: 1. */
	logs: number;
	/** Sessions that got a 404 although they had not ended: 0. */
	sessionsLost: number;
	/** Messages that were not confirmed in time: 0. */
	unconfirmed: number;
	/** How often a stream was told that it may have missed something. */
	gaps: number;
	/** How often a client was cut off because it did not read. */
	cutOff: number;
	/** Half of the starts of the process took at most so long, in milliseconds. */
	startMs: number;
	seconds: number;
	/** How often each thing happened. */
	counts: Record<string, number>;
	/** The connections of each session of which something was wrong. */
	histories: string[];
}

type OnProgress = (counts: Record<string, number>, seconds: number) => void;

const PROGRESS_MS = 15_000;

/** One run: the process under test, its clients, what is sent to them, and what goes wrong. */
export class Crash {
	#options: CrashOptions;
	#onProgress: OnProgress;
	#calm = new AbortController();
	#sessions: Session[] = [];
	#startedAt = performance.now();

	constructor(options: CrashOptions, onProgress: OnProgress = () => {}) {
		this.#options = options;
		this.#onProgress = onProgress;
	}

	async run(): Promise<Result> {
		const installation = await Installation.make();
		try {
			const workerd = await Workerd.start(installation);
			const world = new World(workerd.url, this.#calm.signal);
			try {
				await Promise.race([this.#disturb(world, workerd), workerd.crashed]);
			} catch (error) {
				world.hasFailed = true;
				this.#calm.abort();
				throw error;
			} finally {
				await workerd.stop();
			}
			return this.#judge(world, workerd);
		} finally {
			installation.remove();
		}
	}

	async #disturb(world: World, workerd: Workerd): Promise<void> {
		const random = new Random(this.#options.seed);
		// Each has numbers of its own, so that no decision depends on who was faster.
		const next = () => new Random(random.below(2 ** 32));
		const sender = new Sender(next(), world, this.#sessions, this.#options.rate);
		const numbers = { kills: next(), others: next() };
		const faults = new Faults(numbers, world, workerd, this.#sessions);
		const slots = Array.from({ length: this.#options.sessions }, next);
		const allGone = new AbortController();
		const sending = sender.run(allGone.signal);
		await Promise.race([
			sending,
			Promise.all([
				this.#untilEnough(world),
				faults.kill(),
				faults.disturb(),
				...slots.map((slot) => this.#fill(slot, world)),
			]),
		]);
		allGone.abort();
		await sending;
	}

	/** One session after the other. */
	async #fill(random: Random, world: World): Promise<void> {
		while (!world.isCalm) {
			const numbers = new Random(random.below(2 ** 32));
			const lifeMs = pickLifeMs(random);
			const session = new Session(numbers, world);
			this.#sessions.push(session);
			await session.begin();
			await world.disturbedFor(lifeMs);
			await session.retire();
		}
	}

	async #untilEnough(world: World): Promise<void> {
		const { seconds, kills, deliveries } = this.#options;
		let shownAt = performance.now();
		const { counts } = world;
		while (
			this.#seconds < seconds ||
			(counts['kills'] ?? 0) < kills ||
			(counts['deliveries'] ?? 0) < deliveries
		) {
			await wait(100);
			if (world.hasFailed) return;
			if (performance.now() - shownAt < PROGRESS_MS) continue;
			shownAt = performance.now();
			this.#onProgress(counts, this.#seconds);
		}
		this.#calm.abort();
	}

	#judge({ sent, logs, counts }: World, { lines, startsMs }: Workerd): Result {
		// Nobody has the log of a server; but its clients know what each of its places holds.
		const log: number[] = [];
		for (const { received } of this.#sessions) {
			for (const { place, message } of received) log[place - 1] ??= message;
		}
		const attendance = this.#sessions.map((session) => session.attendance);
		const startMs = startsMs.toSorted((a, b) => a - b)[Math.floor(startsMs.length / 2)] ?? 0;
		const verdict = judge(sent, log, attendance);
		const blamed = new Set(verdict.details.flatMap(({ session }) => session ?? []));
		const histories = [...blamed].map(
			(number) => `session ${number}, ${this.#sessions[number]?.history}`,
		);
		return {
			...verdict,
			histories,
			messages: sent.length,
			served: this.#sessions.length,
			logs: logs.size,
			sessionsLost: counts['sessions lost'] ?? 0,
			unconfirmed: counts['unconfirmed'] ?? 0,
			gaps: lines.get('gap') ?? 0,
			cutOff: lines.get('cut off') ?? 0,
			startMs,
			seconds: this.#seconds,
			counts,
		};
	}

	get #seconds(): number {
		return (performance.now() - this.#startedAt) / 1_000;
	}
}
