import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, expect, inject, it, vi } from 'vitest';
import { SessionManagerError, type SyncLayer } from '../../src/index.ts';
import { keyOf } from '../support/claims.ts';
import { CostMeter } from '../support/costs.ts';
import { Wire } from '../support/socket.ts';
import { Random } from '../torture/random.ts';
import { describe, FOR_NAMED, Hostile, type Input, isJson } from './hostile.ts';

declare module 'vitest' {
	interface ProvidedContext {
		/** From `vitest.config.ts`. */
		fuzz: { seed: number; inputs: number };
	}
}

const { seed, inputs } = inject('fuzz');

/** No input may keep an object from its other callers for longer, in milliseconds, on a machine that is busy. */
const STALL_MS = 2_000;

/** How long a message may take to who has nothing to do with it, in milliseconds. */
const LOOK_MS = 1_000;

/** How many inputs between two looks at who has nothing to do with it. */
const PORTION = 250;

/** How many upgrades in a portion. An unknown ticket is waited for. */
const UPGRADES = 5;

/** How many calls of RPC are under way at once. */
const AT_ONCE = 10;

const LIMIT_MS = 3_600_000;

/** An input that throws when it is read. By RPC nothing arrives that could. */
const THROWN_BY_INPUT = /^TypeError: boom$/;

/** Too deep, or not of a kind that RPC carries. */
const NOT_SERIALISABLE = /DataCloneError|serializ|boom|clone|Maximum call stack/i;

/** What an object that refuses everything still has to do. */
class Bystander {
	#object: DurableObjectStub<SyncLayer>;
	#wire: Wire;
	#ticks: string[] = [];

	private constructor(object: DurableObjectStub<SyncLayer>, wire: Wire) {
		this.#object = object;
		this.#wire = wire;
	}

	static async of(object: DurableObjectStub<SyncLayer>): Promise<Bystander> {
		return new Bystander(object, await Wire.open(object, 'bystander'));
	}

	/** @returns what is wrong: it has to hear at once what it is sent, in order, and nothing that is for others */
	async look(): Promise<string[]> {
		const tick = `tick ${this.#ticks.length}`;
		this.#ticks.push(tick);
		const { delivered } = await this.#object.broadcast(['bystander'], tick);
		const { received } = this.#wire;
		for (let pause = 0; pause < LOOK_MS && received.at(-1) !== tick; pause++)
			await scheduler.wait(1);
		const heard = received.filter((data) => data.startsWith('tick'));
		return [
			...(delivered === 1 ? [] : [`${tick} was not delivered`]),
			...(heard.join() === this.#ticks.join() ? [] : [`it heard ${heard.slice(-3).join()}`]),
			...(received.includes(FOR_NAMED) ? ['it heard what is for others'] : []),
		];
	}
}

/** What became of the inputs. */
class Verdicts {
	readonly refusals = new Map<string, number>();
	taken = 0;
	slowest = { ms: 0, input: '' };

	note(input: Input | Request, ms: number, code: string | undefined): void {
		if (code === undefined) this.taken++;
		else this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
		if (ms <= this.slowest.ms) return;
		this.slowest = { ms, input: input instanceof Request ? 'an upgrade' : describe(input) };
	}

	report(where: string): string {
		const refused = [...this.refusals].map(([code, count]) => `${code} ${count}`).join(', ');
		const { ms, input } = this.slowest;
		return `fuzz ${where}, seed ${seed}: ${inputs} inputs, ${this.taken} taken; refused: ${refused}\nslowest: ${ms} ms, ${input}`;
	}
}

afterEach(() => void vi.restoreAllMocks());

const newObject = () => env.TMCP_DURABLE_OBJECT.getByName(crypto.randomUUID());

it(
	'no argument in the object does anything but what it says, or is refused with a code before anything is done',
	async () => {
		const object = newObject();
		const bystander = await Bystander.of(object);
		const key = await keyOf(object);
		const meter = await CostMeter.watch(object);
		const hostile = new Hostile(new Random(seed));
		const verdicts = new Verdicts();
		for (let done = 0; done < inputs; done += PORTION) {
			await runInDurableObject(object, async (instance) => {
				for (let count = 0; count < PORTION; count++) {
					const input = hostile.next();
					meter.reset();
					const start = Date.now();
					const code = await codeOf(input, THROWN_BY_INPUT, () =>
						Reflect.apply(Reflect.get(instance, input.method), instance, input.args),
					);
					verdicts.note(input, Date.now() - start, code);
					const { written, keysWritten } = meter.readInside();
					const changed = written + keysWritten;
					if (code !== undefined && changed > 0) {
						throw new Error(
							`${changed} rows or keys written by a refused call, seed ${seed}: ${describe(input)}`,
						);
					}
				}
				for (let count = 0; count < UPGRADES; count++) {
					const { status, webSocket } = await instance.fetch(hostile.upgrade(key));
					expect(webSocket).toBeNull();
					expect([400, 403, 405, 410, 426]).toContain(status);
				}
			});
			expect(await bystander.look()).toEqual([]);
		}
		console.log(verdicts.report('in the object'));
		expect(verdicts.slowest.ms).toBeLessThan(STALL_MS);
		expect(verdicts.refusals.get('INVALID_ARGUMENT')).toBeGreaterThan(inputs / 10);
		expect(verdicts.taken).toBeGreaterThan(inputs / 20);
	},
	LIMIT_MS,
);

it(
	'nor by real RPC, and the object stays the same instance',
	async () => {
		const object = newObject();
		const bystander = await Bystander.of(object);
		const instance = await runInDurableObject(object, (of) => of);
		const hostile = new Hostile(new Random(seed + 1));
		const verdicts = new Verdicts();
		for (let done = 0; done < inputs; done += PORTION) {
			for (let count = 0; count < PORTION; count += AT_ONCE) {
				const calls = Array.from({ length: AT_ONCE }, async () => {
					const input = hostile.next();
					const start = Date.now();
					const code = await codeOf(input, NOT_SERIALISABLE, () =>
						Reflect.apply(Reflect.get(object, input.method), object, input.args),
					);
					verdicts.note(input, Date.now() - start, code);
				});
				await Promise.all(calls);
			}
			expect(await bystander.look()).toEqual([]);
		}
		console.log(verdicts.report('by RPC'));
		expect(await runInDurableObject(object, (of) => of === instance)).toBe(true);
		expect(verdicts.slowest.ms).toBeLessThan(AT_ONCE * STALL_MS);
		expect(verdicts.refusals.get('INVALID_ARGUMENT')).toBeGreaterThan(inputs / 20);
	},
	LIMIT_MS,
);

/** @returns the code of a refusal; `foreign` errors are those of an input that never arrived */
async function codeOf(
	input: Input,
	foreign: RegExp,
	call: () => unknown,
): Promise<string | undefined> {
	try {
		await call();
	} catch (error) {
		const code = SessionManagerError.from(error)?.code;
		if (code !== undefined) return code;
		const text = String(error);
		if (foreign.test(text)) return 'the caller’s own';
		throw new Error(`not coded, seed ${seed}: ${text} of ${describe(input)}`, { cause: error });
	}
	if (isJson(input)) return undefined;
	throw new Error(`no JSON, and taken all the same, seed ${seed}: ${describe(input)}`);
}
