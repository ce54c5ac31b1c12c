import { SessionManagerError } from '../../errors.ts';

/** The resource of each list, as the SHA-256 of its URI. */
const resources = new WeakMap<object, string>();

/**
 * Stands for the sessions that are subscribed to a resource, for a stream manager that leaves it to the object who they are.
 * Whoever reads it gets an error, because the ids are not here: an empty list would be a lie.
 */
export function subscribersOf(resource: string): string[] {
	const list = new Proxy<string[]>([], {
		get(_, name) {
			// A promise that is resolved with the list asks for it.
			if (name === 'then') return undefined;
			throw new SessionManagerError(
				'INVALID_ARGUMENT',
				'the subscribers of a resource are known in the object only. Ask the DurableObjectInfoSessionManager itself for them, not what its with() made for a transport.',
			);
		},
	});
	resources.set(list, resource);
	return list;
}

/** The resource whose subscribers a list of sessions stands for; `undefined` for a list of ids. */
export function resourceOf(sessions: object | undefined): string | undefined {
	return sessions && resources.get(sessions);
}
