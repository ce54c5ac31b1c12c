import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { SyncLayerClient } from '../../src/client.ts';
import { DurableObjectStreamSessionManager, SessionManagerError } from '../../src/index.ts';
import { formatSessionId, newPayload } from '../../src/wire/session-id.ts';
import { Client } from './client.ts';
import { type Disturbance, makePlan, type Send, type Size } from './plan.ts';
import { Random } from './random.ts';
import { gapsIn, homesOf, objectOf } from './stream-route.ts';
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
	/** The label of its home. */
	home: string;
	askedAt: number;
	openAt: number;
}

/** One run of one plan, against objects of its own. */
export class Torture {
	#run = `torture ${crypto.randomUUID()}`;
	/** Of an instance with an old version of the Worker, which begins no session but in the first home. */
	#manager = new DurableObjectStreamSessionManager(homesOf(this.#run, 1));
	#client = new SyncLayerClient(homesOf(this.#run, 1));
	#size: Size;
	#seed: number;
	#growth: readonly number[];
	#random: Random;
	/** How far the plan is done: 0 to 1. */
	#progress = 0;
	#clock = 0;
	#sent: Sent[] = [];
	#participants: (Promise<Participant> | undefined)[] = [];
	#known: (Participant | undefined)[] = [];
	#counts: Record<string, number> = {};

	/** @param growth over how many homes new sessions are spread, in equal parts of the run one after another */
	constructor(seed: number, size: Size, growth: readonly number[] = [1]) {
		this.#seed = seed;
		this.#size = size;
		this.#growth = growth;
		this.#random = new Random(seed);
	}

	async run(): Promise<Result> {
		const start = Date.now();
		const sending = new Set<Promise<void>>();
		let disturbing = Promise.resolve();
		const joining: Promise<void>[] = [];
		const plan = makePlan(this.#seed, this.#size);
		for (const [done, step] of plan.entries()) {
			this.#progress = done / plan.length;
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
		this.#progress = 1;
		await Promise.all([...sending, ...joining, disturbing]);
		await this.#calm();
		const { sum, homes } = await this.#client.stats();
		const verdict = await this.#judge();
		await Promise.all(this.#all.map(({ client }) => client.stop()));
		for (const { client, home } of this.#all) {
			this.#count('reconnected', client.reconnects);
			this.#count(`sessions in home ${home}`);
		}
		const seconds = (Date.now() - start) / 1000;
		const gaps = gapsIn.get(this.#run) ?? 0;
		this.#count('homes', Object.keys(homes).length);
		return { ...verdict, gaps, waiting: sum.log?.waiting, counts: this.#counts, seconds };
	}

	get #all(): Participant[] {
		return this.#known.filter((participant) => participant !== undefined);
	}

	get #stage(): number {
		return Math.min(this.#growth.length - 1, Math.floor(this.#progress * this.#growth.length));
	}

	/** How many sessions there may be by now: as the homes get more, so do the sessions. */
	get #room(): number {
		return Math.ceil((this.#size.sessions * (this.#stage + 1)) / this.#growth.length);
	}

	/** It gets its id, and with it its home, when it is first heard of. */
	#participant(index: number): Promise<Participant> {
		return (this.#participants[index] ??= this.#begin(index));
	}

	async #begin(index: number): Promise<Participant> {
		const instance = index % INSTANCES;
		// One instance keeps its old version.
		const homes = (instance === 0 ? this.#growth[0] : this.#growth[this.#stage]) ?? 1;
		const home = String(this.#random.below(homes));
		const name =
			this.#growth.length === 1
				? // Each name is a part of the next one: a log that is searched carelessly mixes them up.
					'x'.repeat(index + 1)
				: formatSessionId(newPayload(home), new Uint8Array(16));
		const routing = homesOf(this.#run, homes);
		await this.#untilDone('registered again', async () => routing.register(routing.at(home)));
		const query = new URLSearchParams({
			run: this.#run,
			instance: String(instance),
			homes: String(homes),
			session: name,
		});
		const client = new Client(`https://example.com/torture?${query.toString()}`);
		const participant = { client, name, home, askedAt: Infinity, openAt: Infinity };
		this.#known[index] = participant;
		return participant;
	}

	async #send({ message, to: planned, through, againAfterMs, id, padding }: Send): Promise<void> {
		const room = this.#room;
		const to = planned && [...new Set(planned.map((session) => session % room))];
		const named = await Promise.all(to?.map((session) => this.#participant(session)) ?? []);
		const sessions = to && named.map(({ name }) => name);
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
		await this.#untilDone('retried', () => this.#client.broadcast(sessions, data, { id }));
		sent.confirmedAt = ++this.#clock;
		if (againAfterMs === undefined) return;
		await scheduler.wait(againAfterMs);
		await this.#untilDone('retried', () => this.#client.broadcast(sessions, data, { id }));
		// A home that came meanwhile has not heard of it yet.
		if (this.#growth.length > 1) sent.confirmedAt = ++this.#clock;
		this.#count('repeated');
	}

	async #join(session: number): Promise<void> {
		while (session >= this.#room) await scheduler.wait(5);
		const participant = await this.#participant(session);
		participant.askedAt = ++this.#clock;
		participant.client.join();
		while (!(await this.#untilDone('asked again', () => this.#client.has(participant.name))))
			await scheduler.wait(5);
		participant.openAt = ++this.#clock;
	}

	async #disturb(disturbance: Disturbance): Promise<void> {
		switch (disturbance.kind) {
			case 'hibernate':
			case 'close': {
				const { kind } = disturbance;
				const stub = this.#anyStub();
				return this.#attempt(kind, () => evictDurableObject(stub, { webSockets: kind }));
			}
			case 'abort':
				return this.#attempt('abort', () => abortAllDurableObjects());
			case 'socket':
				return this.#attempt('socket', () => this.#closeSocket(disturbance.pick));
			case 'drop': {
				const { session, how, awayMs } = disturbance;
				const isGone = this.#known[session]?.client.drop(how, awayMs) ?? false;
				return this.#count(isGone ? how : 'stayed');
			}
		}
	}

	async #closeSocket(pick: number): Promise<void> {
		await runInDurableObject(this.#anyStub(), (_, state) => {
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
			this.#all.every(({ client }) => client.received.at(-1)?.message === message);
		while (!isCalm() && Date.now() < limit) await scheduler.wait(10);
	}

	/** Places are counted in each home, and of a message each home knows its own sessions only. */
	async #judge(): Promise<Verdict> {
		const homes = [...new Set(this.#all.map(({ home }) => home))];
		const verdicts = await Promise.all(
			homes.map(async (home) => {
				const here = [...this.#known.entries()].filter(([, of]) => of?.home === home);
				const sent = this.#sent.map((of) => ({
					...of,
					to: of.to && here.flatMap(([index], place) => (of.to?.includes(index) ? [place] : [])),
				}));
				const attendance = here.flatMap(([, of]) => (of ? [attendanceOf(of)] : []));
				return judge(sent, await this.#log(home), attendance);
			}),
		);
		const total = (of: Exclude<keyof Verdict, 'details'>) =>
			verdicts.reduce((sum, verdict) => sum + verdict[of], 0);
		return {
			lost: total('lost'),
			duplicated: total('duplicated'),
			repeated: total('repeated'),
			outOfOrder: total('outOfOrder'),
			uninvited: total('uninvited'),
			details: verdicts.flatMap(({ details }) => details),
		};
	}

	async #log(home: string): Promise<number[]> {
		return runInDurableObject(this.#stub(home), (_, state) =>
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

	#count(what: string, times = 1): void {
		this.#counts[what] = (this.#counts[what] ?? 0) + times;
	}

	/** A new one for each call: one that has seen its object fail is of no use any more. */
	#stub(home: string) {
		const { name } = homesOf(this.#run, 1).at(home);
		return env.TMCP_DURABLE_OBJECT.getByName(objectOf(this.#run, name));
	}

	#anyStub() {
		const homes = [...new Set(this.#all.map(({ home }) => home))];
		return this.#stub(homes[this.#random.below(homes.length)] ?? '0');
	}
}

function attendanceOf({ client, askedAt, openAt }: Participant): Attendance {
	return { askedAt, openAt, received: client.received };
}

function payload(message: number, padding: number): string {
	return `data: ${message} ${'x'.repeat(padding)}\n\n`;
}

/** Objects fail here all the time; an argument that is refused is a mistake of the test. */
function assertExpected(error: unknown): void {
	const { code } = SessionManagerError.from(error) ?? {};
	if (code !== undefined && code !== 'OBJECT_FAILED') throw error;
}
