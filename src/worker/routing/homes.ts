import { env } from 'cloudflare:workers';
import * as v from 'valibot';
import { quote, SessionManagerError } from '../../errors.ts';
import type { Relayed } from '../../wire/answers.ts';
import {
	FIRST_HOME,
	formatHome,
	HOME_LEASE_GRACE_MS,
	HOME_LEASE_MS,
	MAX_HOMES,
	parseHome,
	type Region,
} from '../../wire/home.ts';
import { parseOptions } from '../../wire/options.ts';
import { readSessionId } from '../../wire/session-id.ts';
import { lookUpSyncLayer, type SyncLayerBinding, type SyncLayerNamespace } from './binding.ts';
import { DEFAULT_HOMES } from './default-homes.ts';
import { callObject, Home, type HomeOrPromise, type SyncLayerStub } from './object.ts';
import { regionOf } from './placement.ts';
import { rendezvous } from './rendezvous.ts';
import { Signer } from './signer.ts';

const OptionsSchema = v.strictObject({
	homes: v.optional(
		v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_HOMES, `more than ${MAX_HOMES}`)),
		DEFAULT_HOMES,
	),
	placement: v.optional(v.literal('nearest')),
	jurisdiction: v.optional(v.picklist(['eu', 'fedramp', 'fedramp-high', 'us'])),
	signingKey: v.optional(v.string()),
});

/** Options of {@link SessionHomes}. */
export interface SessionHomesOptions {
	/**
	 * Over how many objects new sessions and listen streams are spread (default 1; at most 1,000). With `placement` each region
	 * that is used has so many. It can be raised at any time: sessions stay where they are. After it was lowered, the homes
	 * that there were are still asked whenever all are, until nothing lives there any more.
	 */
	homes?: number;
	/**
	 * `nearest`: a session that a {@link SessionGateway} begins gets a home in the region of its first request, and a listen
	 * stream that passes it one in the region of its own. Default: the platform places each object where it is asked for first.
	 */
	placement?: 'nearest';
	/**
	 * Where the objects must stay (https://developers.cloudflare.com/durable-objects/reference/data-location/). The objects of
	 * a jurisdiction are others than those outside of it: sessions do not move with a change.
	 */
	jurisdiction?: DurableObjectJurisdiction;
	/**
	 * Name of the secret of the Worker that session ids are signed with: at least 32 characters. Default: the first home makes
	 * a key, and each instance asks for it once. Whoever changes it ends all sessions.
	 */
	signingKey?: string;
}

/** The shortest secret that is a key, in characters. */
const MIN_KEY_CHARS = 32;

/**
 * The objects that share the sessions, and which of them has which session. Give the same to the managers, the gateway and
 * `SyncLayerClient`, so that they agree:
 *
 * ```ts
 * const homes = new SessionHomes('TMCP_DURABLE_OBJECT', { homes: 4 });
 * const streams = new DurableObjectStreamSessionManager(homes);
 * const gateway = new SessionGateway(transport, homes, { info });
 * ```
 *
 * The first home has the name {@link SYNC_LAYER_NAME}, the others `TMCP_DURABLE_OBJECT/1` and so on. Where a session has its
 * home stands in the id that the gateway gives it. An id that was made elsewhere is placed by its hash, and may move when
 * `homes` changes: then it is unknown in its new home.
 *
 * Safe to construct at module scope.
 */
export class SessionHomes {
	#namespace: () => SyncLayerNamespace;
	/** `undefined` where a namespace was given. */
	#name: string | undefined;
	#options: v.InferOutput<typeof OptionsSchema>;
	/** Those that are registered in the first home, as far as this instance knows. */
	#registered = new Set([FIRST_HOME]);
	/** Until when something may begin in a home that this instance has registered, in milliseconds since 1970. */
	#leases = new Map([[FIRST_HOME, Infinity]]);
	/** When the first home was told last that others are vacant, in milliseconds since 1970. */
	#toldAt = 0;
	#signer: Signer | undefined;
	/** Of the homes, by label: with them an instance opens its next streams there in one request. */
	#upgradeKeys = new Map<string, string>();

	/**
	 * @param binding name of the Durable Object binding (default `TMCP_DURABLE_OBJECT`), or the namespace itself
	 * @throws `INVALID_ARGUMENT` for options that are none
	 */
	constructor(binding?: SyncLayerBinding | SyncLayerNamespace, options?: SessionHomesOptions) {
		const of = binding ?? 'TMCP_DURABLE_OBJECT';
		this.#namespace = lookUpSyncLayer(of);
		this.#name = typeof of === 'string' ? of : undefined;
		this.#options = parseOptions(OptionsSchema, options, 'SessionHomes');
	}

	/**
	 * Whether both may be of the same objects: of two namespaces nobody can tell, of two names one can.
	 * @internal
	 */
	mayBeSame(other: SessionHomes): boolean {
		const isSameName =
			this.#name === undefined || other.#name === undefined || this.#name === other.#name;
		return isSameName && this.#options.jurisdiction === other.#options.jurisdiction;
	}

	/**
	 * A home by its label.
	 * @internal
	 */
	at(label: string): Home {
		const { jurisdiction } = this.#options;
		const namespace = this.#namespace();
		const of = jurisdiction ? namespace.jurisdiction(jurisdiction) : namespace;
		return new Home(of, label, this.#upgradeKeys);
	}

	/**
	 * The home of a session.
	 * @internal
	 */
	of(session: string): HomeOrPromise {
		const label = readSessionId(session)?.home;
		if (label === undefined) return this.#place(session);
		return this.#mayExist(label) ? this.at(label) : this.#find(label, session);
	}

	/**
	 * The home of a session that may begin with this call.
	 * @internal
	 */
	toBegin(session: string): HomeOrPromise {
		const home = this.of(session);
		if (home instanceof Home) return this.register(home);
		return home.then((found) => this.register(found));
	}

	/**
	 * Where something has its home that belongs to no session.
	 * @param cf `request.cf` of its request
	 * @internal
	 */
	toBeginByHash(key: string, cf: unknown): HomeOrPromise {
		return this.register(this.#place(key, this.#regionOf(cf)));
	}

	/**
	 * The first home is told of a home before anything begins in it, so that everybody can find it. One call for each
	 * instance and home in ten minutes.
	 * @internal
	 */
	register(home: Home): HomeOrPromise {
		return (this.#leases.get(home.label) ?? 0) > Date.now() ? home : this.#register(home);
	}

	/**
	 * Which of these sessions has which home, by the home's label.
	 * @internal
	 */
	async group(sessions: readonly string[]): Promise<Map<string, string[]>> {
		const groups = new Map<string, string[]>();
		for (const session of sessions) {
			const home = this.of(session);
			const { label } = home instanceof Home ? home : await home;
			const group = groups.get(label);
			if (group) group.push(session);
			else groups.set(label, [session]);
		}
		return groups;
	}

	/**
	 * Choose the home of a new session.
	 * @param cf `request.cf` of its first request
	 * @param isFull whether a home takes no session at this moment
	 * @returns its label; `undefined` where all are full
	 * @internal
	 */
	choose(cf: unknown, isFull: (label: string) => boolean): string | undefined {
		const free = this.#labelsIn(this.#regionOf(cf)).filter((label) => !isFull(label));
		return free[Math.floor(Math.random() * free.length)];
	}

	/**
	 * A new id of a session in a home.
	 * @internal
	 */
	async mint(label: string): Promise<string> {
		return (await this.#getSigner()).mint(label);
	}

	/**
	 * Whether it is an id that {@link mint} made. Asks nobody, once the key is known.
	 * @internal
	 */
	async isMinted(session: string): Promise<boolean> {
		const id = readSessionId(session);
		return id !== undefined && (await this.#getSigner()).isMine(id);
	}

	/**
	 * Call all homes, in parallel: first those that this instance knows of, then those that the first home knows of besides.
	 * Where the first home fails, an instance that has just started calls those in which it would begin sessions itself.
	 * @param work what to ask of each: a `relay`, whose answer tells which homes there are
	 * @param others homes that may not be registered, but are to be called all the same
	 * @param done a home that is not to be called, because it was before, and the homes that it answered
	 * @internal
	 */
	async callAll(
		work: (stub: SyncLayerStub, label: string) => Promise<Relayed>,
		others: Iterable<string> = [],
		done?: { home: string; homes: readonly string[] },
	): Promise<Called<Relayed>[]> {
		const known = new Set([...this.#registered, ...others]);
		if (done) known.delete(done.home);
		const called = await this.callEach([...known], work);
		const first = called.find(({ label }) => label === FIRST_HOME)?.outcome;
		// Only the first home knows all homes.
		const told = done?.home === FIRST_HOME ? done.homes : undefined;
		const registered = first?.status === 'fulfilled' ? first.value.homes : told;
		if (registered) this.#note(registered);
		// Those that are placed by the region of their request are not known without it.
		const labels = registered ?? (this.#options.placement ? [] : this.#labelsIn(undefined));
		const missed = labels.filter((label) => !known.has(label) && label !== done?.home);
		const all = [...called, ...(await this.callEach(missed, work))];
		await this.#tellVacant(all);
		return all;
	}

	/**
	 * Call some homes, in parallel: none waits for another, nor fails with it.
	 * @internal
	 */
	callEach<T>(
		labels: readonly string[],
		work: (stub: SyncLayerStub, label: string) => Promise<T>,
	): Promise<Called<T>[]> {
		return Promise.all(
			labels.map(async (label) => {
				const call = callObject(this.at(label), (stub) => work(stub, label));
				const [outcome] = await Promise.allSettled([call]);
				return { label, outcome };
			}),
		);
	}

	/**
	 * The labels of all homes.
	 * @internal
	 */
	async labels(): Promise<string[]> {
		await this.#askFirst((stub) => stub.homes());
		return [...this.#registered];
	}

	#place(key: string, region?: Region): Home {
		const index = rendezvous(key, this.#options.homes);
		return this.at(formatHome({ index, region }));
	}

	/** Where a new home is to be; `undefined` where the platform decides. */
	#regionOf(cf: unknown): Region | undefined {
		return this.#options.placement && regionOf(cf);
	}

	/** Whether new sessions are begun there, or were. */
	#mayExist(label: string): boolean {
		if (this.#registered.has(label)) return true;
		const { homes, placement } = this.#options;
		const place = parseHome(label);
		return (
			place !== undefined &&
			place.index < homes &&
			(place.region === undefined || placement !== undefined)
		);
	}

	/** Where sessions are begun that are placed in this region. */
	#labelsIn(region: Region | undefined): string[] {
		const { homes } = this.#options;
		return Array.from({ length: homes }, (_, index) => formatHome({ index, region }));
	}

	/**
	 * It may be one that another version of the Worker has begun. If there is no such home, the id was made up; where the
	 * first home cannot say, the id is believed, so that its failure harms no session of another home.
	 */
	async #find(label: string, session: string): Promise<Home> {
		const labels = await this.labels().catch(() => undefined);
		return !labels || this.#registered.has(label) ? this.at(label) : this.#place(session);
	}

	async #register(home: Home): Promise<Home> {
		const now = Date.now();
		try {
			await this.#askFirst((stub) => stub.registerHome(home.label));
			this.#leases.set(home.label, now + HOME_LEASE_MS);
		} catch (error) {
			// The first home remembers a home for longer than a lease: its failure must not keep others from new sessions at once.
			if ((this.#leases.get(home.label) ?? 0) + HOME_LEASE_GRACE_MS < now) throw error;
		}
		return home;
	}

	/** Ask the first home something that it answers with the labels of all homes. */
	async #askFirst(ask: (stub: SyncLayerStub) => Promise<readonly string[]>): Promise<void> {
		this.#note(await callObject(this.at(FIRST_HOME), ask));
	}

	/** @param labels of all homes, as the first one answered; none where it was not asked for them */
	#note(labels: readonly string[]): void {
		if (labels.length > 0) this.#registered = new Set(labels);
	}

	/** The first home may forget those in which nothing lives. It decides, because it knows which were registered lately. */
	async #tellVacant(called: readonly Called<Relayed>[]): Promise<void> {
		const vacant = called.flatMap(({ label, outcome }) =>
			label !== FIRST_HOME && outcome.status === 'fulfilled' && outcome.value.isVacant
				? [label]
				: [],
		);
		const now = Date.now();
		if (vacant.length === 0 || now < this.#toldAt + HOME_LEASE_MS) return;
		this.#toldAt = now;
		// Where it fails, they are asked a while longer: what was to be sent is sent.
		await this.#askFirst((stub) => stub.forgetHomes(vacant)).catch(() => {});
	}

	/** A failure is not remembered: the next one asks again. */
	async #getSigner(): Promise<Signer> {
		return (this.#signer ??= await Signer.of(await this.signingKey()));
	}

	/**
	 * The secret of this installation.
	 * @internal
	 */
	signingKey(): Promise<string> {
		const { signingKey: name } = this.#options;
		if (name === undefined) return callObject(this.at(FIRST_HOME), (stub) => stub.signingKey());
		const key: unknown = Reflect.get(env, name);
		if (typeof key === 'string' && key.length >= MIN_KEY_CHARS) return Promise.resolve(key);
		throw new SessionManagerError(
			key === undefined ? 'BINDING_MISSING' : 'BINDING_WRONG_KIND',
			`the Worker needs a secret ${quote(name)} of at least ${MIN_KEY_CHARS} characters, to sign session ids with. Set it with "wrangler secret put ${name}".`,
		);
	}
}

/** What came of a call of one home. */
export interface Called<T> {
	label: string;
	outcome: PromiseSettledResult<T>;
}

/** What a manager takes as its first argument. @inline */
export type Homes = SyncLayerBinding | SyncLayerNamespace | SessionHomes;

export function homesOf(binding: Homes | undefined): SessionHomes {
	return binding instanceof SessionHomes ? binding : new SessionHomes(binding);
}
