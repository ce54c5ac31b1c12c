import { SessionManagerError, type SessionManagerErrorCode } from '../errors.ts';
import { failed, refused } from './channels.ts';

/** These say that something may not be now, or no longer: nothing is broken. */
const REFUSALS = /* @__PURE__ */ new Set<SessionManagerErrorCode | undefined>([
	'TICKET_REFUSED',
	'STREAM_SUPERSEDED',
	'STREAM_DETACHED',
	'OBJECT_FULL',
	'TOO_MANY_SUBSCRIPTIONS',
	'TOO_MANY_SESSIONS',
	'TOO_MANY_QUESTIONS',
	'TOO_MANY_RESOURCES',
	'OWNER_LIMIT_REACHED',
	'SERVER_REQUEST_REFUSED',
	'INVALID_SESSION_ID',
]);

/** Errors that were published: several callers in a row may catch the same one, and each of them publishes it. */
const published = /* @__PURE__ */ new WeakSet<object>();

interface Where {
	side: 'worker' | 'object';
	home?: string | undefined;
	session?: string | undefined;
}

/** Tell that something failed for good, or was refused: once for each error. */
export function publishFailure(
	error: unknown,
	{ side, home, session }: Where = { side: 'worker' },
): void {
	if (!failed.hasSubscribers && !refused.hasSubscribers) return;
	if (published.has(Object(error))) return;
	published.add(Object(error));
	const code = SessionManagerError.from(error)?.code;
	// That nothing is known of a client is no failure: many tell nothing.
	if (code === 'SESSION_INFO_NOT_FOUND') return;
	if (code === undefined || !REFUSALS.has(code)) {
		if (failed.hasSubscribers) failed.publish({ side, home, session, code });
	} else if (refused.hasSubscribers) {
		const where = { home, session, reason: code };
		refused.publish(side === 'object' ? { side, ...where } : { side, ...where, status: undefined });
	}
}
