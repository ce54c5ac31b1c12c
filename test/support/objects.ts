import type { SyncLayerNamespace } from '../../src/advanced.ts';
import type { SyncLayer } from '../../src/index.ts';

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

/** An error after which the platform allows another try. */
export function lost(): Error {
	return Object.assign(new Error('Network connection lost.'), { retryable: true });
}
