import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { DurableObjectStreamSessionManager, SessionManagerError } from '../../src/index.ts';
import { Client } from './client.ts';
import { type Disturbance, makePlan, type Send, type Size } from './plan.ts';
import { gapsIn, namespaceOf } from './stream-route.ts';
import { type Attendance, judge, type Sent, type Verdict } from './verdict.ts';

/** How many messages are under way at once. */
const CONCURRENT_SENDS = 8;

/** How many Worker instances serve the streams. */
const INSTANCES = 3;

/** How long all may take to get what is theirs once nothing disturbs them any more, in milliseconds. */
const CALM_LIMIT_MS = 30_000;

export interface Result extends Verdict {
	/** How often a stream was told that it may have missed something. */
	gaps: number;
	/** Sessions that the object takes for gone although they have a stream. */
	waiting: number | undefined;
	/** How often each thing happened. */
	counts: Record<string, number>;
	seconds: number;
}

interface Participant {
	client: Client;
	name: string;
	askedAt: number;
	openAt: number;
}

/** One run of one plan, against an object of its own. */
export class Torture {
	#object = `torture ${crypto.randomUUID()}`;
	#manager = new DurableObjectStreamSessionManager(namespaceOf(this.#object));
	#size: Size;
	#seed: number;
	#clock = 0;
	#sent: Sent[] = [];
	#participants: Participant[];
	#counts: Record<string, number> = {};

	constructor(seed: number, size: Size) {
		this.#seed = seed;
		this.#size = size;
		this.#participants = Array.from({ length: size.sessions }, (_, index) => {
			// Each name is a part of the next one: a log that is searched carelessly mixes them up.
			const name = 'x'.repeat(index + 1);
			const query = new URLSearchParams({
				object: this.#object,
				instance: String(index % INSTANCES),
				session: name,
			});
			const client = new Client(`https://example.com/torture?${query.toString()}`);
			return { client, name, askedAt: Infinity, openAt: Infinity };
		});
	}

	async run(): Promise<Result> {
		const start = Date.now();
		const sending = new Set<Promise<void>>();
		let disturbing = Promise.resolve();
		const joining: Promise<void>[] = [];
		for (const step of makePlan(this.#seed, this.#size)) {
			if (step.kind === 'send') {
				if (sending.size >= CONCURRENT_SENDS) await Promise.race(sending);
				const send: Promise<void> = this.#send(step).then(() => void sending.delete(send));
				sending.add(send);
			} else if (step.kind === 'join') {
				joining.push(this.#join(step.session));
			} else if (step.kind === 'pause') {
				await scheduler.wait(step.ms);
			} else {
				// One at a time, but all the while messages are sent.
				await disturbing;
				disturbing = this.#disturb(step);
			}
		}
		await Promise.all([...sending, ...joining, disturbing]);
		await this.#calm();
		const { log } = await this.#stub.stats();
		const verdict = judge(this.#sent, await this.#log(), this.#attendance());
		await Promise.all(this.#participants.map(({ client }) => client.stop()));
		for (const { client } of this.#participants) this.#count('reconnected', client.reconnects);
		const seconds = (Date.now() - start) / 1000;
		const gaps = gapsIn.get(this.#object) ?? 0;
		return { ...verdict, gaps, waiting: log?.waiting, counts: this.#counts, seconds };
	}

	async #send({ message, to, through, againAfterMs, id, padding }: Send): Promise<void> {
		const sessions = to?.map((session) => this.#participants[session]?.name ?? '');
		const data = payload(message, padding);
		const sent: Sent = { to, triedAt: ++this.#clock, confirmedAt: undefined };
		this.#sent[message] = sent;
		this.#count(to ? 'targeted' : 'general');
		if (through === 'manager') {
			try {
				await this.#manager.send(sessions, data);
				sent.confirmedAt = ++this.#clock;
			} catch (error) {
				assertExpected(error);
				this.#count('unconfirmed');
			}
			return;
		}
		await this.#untilDone('retried', () => this.#stub.broadcast(sessions, data, { id }));
		sent.confirmedAt = ++this.#clock;
		if (againAfterMs === undefined) return;
		await scheduler.wait(againAfterMs);
		await this.#untilDone('retried', () => this.#stub.broadcast(sessions, data, { id }));
		this.#count('repeated');
	}

	async #join(session: number): Promise<void> {
		const participant = this.#participants[session];
		if (!participant) throw new Error(`There is no session ${session}.`);
		participant.askedAt = ++this.#clock;
		participant.client.join();
		while (!(await this.#untilDone('asked again', () => this.#stub.has(participant.name))))
			await scheduler.wait(5);
		participant.openAt = ++this.#clock;
	}

	async #disturb(disturbance: Disturbance): Promise<void> {
		switch (disturbance.kind) {
			case 'hibernate':
			case 'close': {
				const { kind } = disturbance;
				return this.#attempt(kind, () => evictDurableObject(this.#stub, { webSockets: kind }));
			}
			case 'abort':
				return this.#attempt('abort', () => abortAllDurableObjects());
			case 'socket':
				return this.#attempt('socket', () => this.#closeSocket(disturbance.pick));
			case 'drop': {
				const { session, how, awayMs } = disturbance;
				const isGone = this.#participants[session]?.client.drop(how, awayMs) ?? false;
				return this.#count(isGone ? how : 'stayed');
			}
		}
	}

	async #closeSocket(pick: number): Promise<void> {
		await runInDurableObject(this.#stub, (_, state) => {
			const sockets = state.getWebSockets();
			sockets[Math.floor(pick * sockets.length)]?.close(1011, 'torture');
		});
	}

	/**
	 * An object that is not running cannot be evicted, and neither can one with a socket that closes for ever, because its
	 * other end is in a response that was abandoned.
	 */
	async #attempt(what: string, work: () => Promise<void>): Promise<void> {
		try {
			await work();
			this.#count(what);
		} catch (error) {
			const reason = /not currently running|still has active references/.exec(String(error))?.[0];
			if (reason === undefined) throw error;
			this.#count(`${what} impossible: ${reason}`);
		}
	}

	async #untilDone<T>(retried: string, work: () => Promise<T>): Promise<T> {
		for (;;) {
			try {
				return await work();
			} catch (error) {
				assertExpected(error);
				this.#count(retried);
				await scheduler.wait(5);
			}
		}
	}

	/** Send one last message to all, and wait until all have it. What came before it has come by then, or never will. */
	async #calm(): Promise<void> {
		const message = this.#size.messages;
		await this.#send({
			kind: 'send',
			message,
			to: undefined,
			through: 'broadcast',
			againAfterMs: undefined,
			id: crypto.randomUUID(),
			padding: 0,
		});
		const limit = Date.now() + CALM_LIMIT_MS;
		const isCalm = () =>
			this.#participants.every(({ client }) => client.received.at(-1)?.message === message);
		while (!isCalm() && Date.now() < limit) await scheduler.wait(10);
	}

	async #log(): Promise<number[]> {
		return runInDurableObject(this.#stub, (_, state) =>
			state.storage.sql
				.exec<{ seq: number; data: string | null }>(
					'SELECT seq, data FROM tmcp_events ORDER BY seq',
				)
				.toArray()
				// A mark of lost streams takes a position, and is no message.
				.map(({ seq, data }) =>
					data === null ? -seq : Number.parseInt(data.slice('data: '.length), 10),
				),
		);
	}

	#attendance(): Attendance[] {
		return this.#participants.map(({ client, askedAt, openAt }) => ({
			askedAt,
			openAt,
			received: client.received,
		}));
	}

	#count(what: string, times = 1): void {
		this.#counts[what] = (this.#counts[what] ?? 0) + times;
	}

	/** A new one for each call: one that has seen its object fail is of no use any more. */
	get #stub() {
		return env.TMCP_DURABLE_OBJECT.getByName(this.#object);
	}
}

function payload(message: number, padding: number): string {
	return `data: ${message} ${'x'.repeat(padding)}\n\n`;
}

/** Objects fail here all the time; an argument that is refused is a mistake of the test. */
function assertExpected(error: unknown): void {
	const { code } = SessionManagerError.from(error) ?? {};
	if (code !== undefined && code !== 'OBJECT_FAILED') throw error;
}
