import { readSessionId } from '../wire/session-id.ts';

/** The `side`, `home` and `session` of an event that the Worker publishes. @param session `undefined` where it concerns none */
export function here(session: string | undefined) {
	const home = session === undefined ? undefined : readSessionId(session)?.home;
	return { side: 'worker', home, session } as const;
}
