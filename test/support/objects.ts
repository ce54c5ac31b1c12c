import { env } from 'cloudflare:workers';
import type { SyncLayerNamespace } from '../../src/advanced.ts';
import { SessionHomes, SYNC_LAYER_NAME, type SyncLayer } from '../../src/index.ts';
import { Home } from '../../src/worker/routing/object.ts';

/**
 * The namespace as if it had one object, so that a test has its own; with some calls of its stubs replaced.
 * @param replace told which stub it is, from 1: a manager takes one for each try of a call
 */
export function onlyObject(
	namespace: SyncLayerNamespace,
	name: string,
	replace: (stub: DurableObjectStub<SyncLayer>, nth: number) => object = () => ({}),
): SyncLayerNamespace {
	let stubs = 0;
	const getByName = () => {
		const stub = namespace.getByName(name);
		const replaced = replace(stub, ++stubs);
		return new Proxy(stub, {
			get: (target, key) =>
				Reflect.get(replaced, key) ??
				((...args: unknown[]) => Reflect.apply(Reflect.get(target, key), target, args)),
		});
	};
	return new Proxy(namespace, {
		get: (target, key) => (key === 'getByName' ? getByName : Reflect.get(target, key)),
	});
}

/** The object that has a session, for managers that were told nothing of homes: there is one, or four in the project `homes`. */
export function objectOf(
	session: string,
	namespace: SyncLayerNamespace = env.TMCP_DURABLE_OBJECT,
): DurableObjectStub<SyncLayer> {
	const home = new SessionHomes(namespace).of(session);
	if (home instanceof Home) return home.stub();
	throw new Error('The session has no home.');
}

/** What was asked of which home, and those that are out of order. */
export class HomeCalls {
	/** `2 broadcastBatch`, in order. */
	readonly calls: string[] = [];
	/** How many calls of each home are still to fail. */
	readonly failing = new Map<string, number>();
	/** The objects that were asked for, with the hints where to place them. */
	readonly placed = new Map<string, string | undefined>();
	#held: { homes: string[]; until: Promise<void> } | undefined;

	/** The calls of a piece of work, sorted. */
	async of(work: () => Promise<unknown>): Promise<string[]> {
		const before = this.calls.length;
		await work();
		return this.calls.slice(before).toSorted();
	}

	/**
	 * Keep all further calls until they are released.
	 * @returns the homes that are being called
	 */
	hold(): { homes: string[]; release(): void } {
		const { promise, resolve } = Promise.withResolvers<void>();
		const held = { homes: new Array<string>(), until: promise };
		this.#held = held;
		const release = () => {
			this.#held = undefined;
			resolve();
		};
		return { homes: held.homes, release };
	}

	/** Make a call of a home, at once or when it is released. */
	call(home: string, work: () => unknown): unknown {
		const held = this.#held;
		if (!held) return work();
		held.homes.push(home);
		return held.until.then(work);
	}

	fail(home: string): Promise<never> | undefined {
		const left = this.failing.get(home) ?? 0;
		if (left === 0) return undefined;
		this.failing.set(home, left - 1);
		return Promise.reject(lost());
	}
}

/** The namespace with homes of a test's own, whose calls are noted. */
export function ownHomes(
	namespace: SyncLayerNamespace,
	prefix: string,
	noted: HomeCalls = new HomeCalls(),
): SyncLayerNamespace {
	const getByName = (name: string, options?: DurableObjectNamespaceGetDurableObjectOptions) => {
		const label = name.slice(SYNC_LAYER_NAME.length + 1) || '0';
		noted.placed.set(label, options?.locationHint);
		return new Proxy(namespace.getByName(`${prefix}/${label}`), {
			get:
				(target, method) =>
				(...args: unknown[]) => {
					noted.calls.push(`${label} ${String(method)}`);
					const call = () => Reflect.apply(Reflect.get(target, method), target, args);
					return noted.fail(label) ?? noted.call(label, call);
				},
		});
	};
	return new Proxy(namespace, {
		get: (target, key) => (key === 'getByName' ? getByName : Reflect.get(target, key)),
	});
}

/** An error after which the platform allows another try. */
export function lost(): Error {
	return Object.assign(new Error('Network connection lost.'), { retryable: true });
}
