import { setTimeout as wait } from 'node:timers/promises';
import type { Random } from '../torture/random.ts';
import type { Attendance } from '../torture/verdict.ts';
import { type Answer, ask } from './ask.ts';
import { type ConnectionPlan, type Kind, pickKind, planConnection } from './behaviour.ts';
import { EventStream, type Leaving, type StreamEvent } from './event-stream.ts';
import { parseMessage } from './message.ts';
import { Record } from './record.ts';
import type { World } from './world.ts';

const PROTOCOL_VERSION = '2025-06-18';

const INITIALIZE = {
	jsonrpc: '2.0',
	id: 1,
	method: 'initialize',
	params: {
		protocolVersion: PROTOCOL_VERSION,
		capabilities: {},
		clientInfo: { name: 'crash', version: '1.0.0' },
	},
};

/**
 * How long a session may take to get what is its own once it behaves, in milliseconds: the process is still killed, and a
 * stream whose object was replaced comes back after 30 s at the latest.
 */
const CALM_LIMIT_MS = 90_000;

/** How long a frozen connection stays after it was replaced, in milliseconds. */
const FROZEN_MS = 2_000;

/** A GET that is over. */
interface Connection {
	/** The event id that it was asked for with. */
	from: string | undefined;
	/** The newest one when it was over. */
	to: string | undefined;
	/** `undefined` where there was no response. */
	status: number | undefined;
	/** How the client went; `undefined` where it did not. */
	leaving: Leaving | undefined;
}

/** The MCP client of one session, over TCP: it always has a stream, or comes back for one with its newest event id. */
export class Session {
	/** As the server named it; empty until it is begun. */
	id = '';
	readonly received = new Record();
	readonly #kind: Kind;
	readonly #random: Random;
	readonly #world: World;
	#askedAt = Infinity;
	#openAt = Infinity;
	#leftAt = Infinity;
	#lastEventId: string | undefined;
	#connections: Connection[] = [];
	#stream: EventStream | undefined;
	#frozen = new Set<EventStream>();
	#isOver = false;
	#newest = -1;
	#holding = Promise.resolve();
	/** It has received something that was sent after it was told to {@link retire}. */
	#isComplete = false;

	constructor(random: Random, world: World) {
		this.#random = random;
		this.#world = world;
		this.#kind = pickKind(random);
	}

	get attendance(): Attendance {
		return {
			askedAt: this.#askedAt,
			openAt: this.#openAt,
			leftAt: this.#leftAt,
			received: this.received,
		};
	}

	/** The message that it received last. */
	get newest(): number {
		return this.#newest;
	}

	/** What each of its connections came to, for whoever replays the seed. */
	get history(): string {
		const lines = this.#connections.map(
			({ from = 'no id', to = 'no id', status, leaving = 'not left' }) =>
				`from ${from} to ${to}, status ${status}, ${leaving}`,
		);
		return [this.#kind, ...lines].join('\n  ');
	}

	/** Whether messages may be addressed to it. */
	get isPresent(): boolean {
		return this.#openAt < Infinity && this.#leftAt === Infinity && !this.#isOver;
	}

	/** Initialise, however often it takes, and open the first stream. */
	async begin(): Promise<void> {
		const accept = { accept: 'application/json, text/event-stream' };
		const { sessionId = '' } = await this.#insist(() => {
			// An answer that was lost on its way leaves a session that nobody uses.
			this.#askedAt = this.#world.tick();
			return ask('POST', this.#url, accept, INITIALIZE);
		});
		this.id = sessionId;
		this.#openAt = this.#world.tick();
		this.#newest = this.#world.sent.length - 1;
		this.#holding = this.#hold();
	}

	/** Break the connection from the client's side, but not by its own will. */
	cut(): boolean {
		if (!this.#stream) return false;
		this.#stream.leave('reset');
		return true;
	}

	/**
	 * Behave, and end the session when it has all that was confirmed until now: what comes in order is complete as soon as
	 * something has come that was sent later.
	 */
	async retire(): Promise<void> {
		this.#leftAt = this.#world.tick();
		const limit = Date.now() + CALM_LIMIT_MS;
		while (!this.#isOver && !this.#isComplete) {
			if (Date.now() > limit) {
				this.#world.count('deaf');
				break;
			}
			await wait(20);
		}
		const wasLost = this.#isOver;
		this.#isOver = true;
		this.#stream?.leave('close');
		await this.#holding;
		for (const stream of this.#frozen) stream.destroy();
		// A first DELETE may have done it before its answer was lost.
		if (!wasLost) await this.#insist(() => ask('DELETE', this.#url, this.#headers), [404]);
	}

	get #isCalm(): boolean {
		return this.#leftAt < Infinity;
	}

	get #url(): URL {
		return new URL('/mcp', this.#world.url);
	}

	get #headers(): { [name: string]: string } {
		return { 'mcp-session-id': this.id, 'mcp-protocol-version': PROTOCOL_VERSION };
	}

	async #hold(): Promise<void> {
		while (!this.#isOver && !this.#world.hasFailed) await this.#connect();
	}

	async #connect(): Promise<void> {
		const plan = this.#plan();
		const from = this.#lastEventId;
		const headers =
			from === undefined ? this.#headers : { ...this.#headers, 'last-event-id': from };
		const stream = new EventStream(this.#url, headers, plan, (event) => {
			watch.begin();
			this.#receive(event, plan.leave?.forgets ?? false);
		});
		this.#stream = stream;
		const watch = this.#watch(stream, plan);
		const ended = stream.ended.then(() => undefined);
		const status = await Promise.race([stream.status, ended]).catch(() => undefined);
		const isBack = this.#connections.some((before) => before.status === 200);
		if (status === 200 && isBack) this.#world.count('reconnects');
		if (status === 200) await stream.ended;
		watch.stop();
		const leaving = watch.hasLeft() ? plan.leave?.how : undefined;
		this.#connections.push({ from, to: this.#lastEventId, status, leaving });
		this.#stream = undefined;
		if (status === 404) {
			this.#world.count('sessions lost');
			this.#isOver = true;
		} else if (status !== undefined && status !== 200) {
			this.#world.count(`answered ${status}`);
			stream.destroy();
		}
		if (this.#isOver) return;
		const awayMs = watch.hasLeft() ? (plan.leave?.awayMs ?? 0) : 10 + this.#random.below(90);
		await wait(awayMs);
	}

	#plan(): ConnectionPlan {
		if (this.#isCalm) return { reading: 'full', slowMs: 0, leave: undefined };
		const has = this.#connections.length === 0 ? 'nothing' : 'noId';
		return planConnection(this.#random, this.#kind, this.#lastEventId === undefined ? has : 'id');
	}

	/** Leave when it is time; but in peace stay, unless the stream is not read. */
	#watch(stream: EventStream, { reading, leave }: ConnectionPlan) {
		let hasLeft = false;
		const go = (how: Leaving) => {
			hasLeft = true;
			this.#world.count(how);
			stream.leave(how);
			if (how !== 'freeze') return;
			this.#frozen.add(stream);
			setTimeout(
				() => {
					stream.destroy();
					this.#frozen.delete(stream);
				},
				FROZEN_MS + (leave?.awayMs ?? 0),
			);
		};
		let timer: NodeJS.Timeout | undefined;
		const begin = () => {
			if (!leave) return;
			timer ??= setTimeout(() => {
				if (!this.#isCalm || reading === 'none' || leave.forgets) go(leave.how);
			}, leave.afterMs);
		};
		// Whoever reads stays for something to read, else a server that is slow is asked for more and more.
		if (reading === 'none') begin();
		const hurry = setInterval(() => {
			if (this.#isCalm) stream.hurry();
		}, 100);
		const stop = () => {
			clearTimeout(timer);
			clearInterval(hurry);
		};
		return { begin, hasLeft: () => hasLeft, stop };
	}

	#receive({ id, data }: StreamEvent, forgets: boolean): void {
		if (id === undefined) throw new Error(`An event has no id: ${data}`);
		this.#world.logs.add(id.slice(0, id.lastIndexOf('.') + 1));
		if (!forgets) this.#lastEventId = id;
		if (data === '') return;
		const message = parseMessage(data);
		this.#newest = message;
		this.received.add(id, message, forgets);
		if ((this.#world.sent[message]?.triedAt ?? 0) > this.#leftAt) this.#isComplete = true;
		this.#world.count('deliveries');
	}

	/** Ask until there is an answer of success. @param alsoGood statuses that count as success */
	async #insist(work: () => Promise<Answer>, alsoGood: number[] = []): Promise<Answer> {
		for (;;) {
			const answer = await work().catch(() => undefined);
			if (answer && (answer.status < 300 || alsoGood.includes(answer.status))) return answer;
			if (answer) this.#world.count(`answered ${answer.status}`);
			if (this.#world.hasFailed) throw new Error('The run has failed.');
			await wait(20 + this.#random.below(60));
		}
	}
}
