import { SessionManagerError } from '../../errors.ts';
import type { InfoChange, InfoInput } from '../../wire/arguments.ts';
import { toStoredInfo } from '../../wire/session-info.ts';
import type { SessionRow } from './session-row.ts';

/** What a session's client has told, and the resources that it is subscribed to. */
type Told = Pick<SessionRow, 'info' | 'resources'>;

/** A resource is the SHA-256 of its URI in base64url, which has no line feed: so it is found in the text. */
const SEPARATOR = '\n';

export function resourcesOf(row: Pick<SessionRow, 'resources'> | undefined): string[] {
	return row?.resources?.split(SEPARATOR) ?? [];
}

/** What a session's client calls itself, where it was told. */
export function clientOf({ info }: Pick<SessionRow, 'info'>): object | undefined {
	const client: unknown = Reflect.get(Object(info && JSON.parse(info)), 'clientInfo');
	return typeof client === 'object' && client !== null ? client : undefined;
}

/**
 * What is told of a session after some changes, one after another.
 * @throws `PAYLOAD_TOO_LARGE`, `TOO_MANY_RESOURCES`
 */
export function changed(before: Told, changes: readonly InfoChange[], maxResources: number): Told {
	let { info } = before;
	const subscribed = resourcesOf(before);
	const resources = new Set(subscribed);
	for (const { forget, set, subscribe, unsubscribe } of changes) {
		if (forget) {
			info = undefined;
			resources.clear();
		}
		if (set) info = withInfo(info, set);
		if (subscribe !== undefined) resources.add(subscribe);
		if (unsubscribe !== undefined) resources.delete(unsubscribe);
	}
	if (resources.size > subscribed.length && resources.size > maxResources) {
		throw new SessionManagerError(
			'TOO_MANY_RESOURCES',
			`the session would be subscribed to ${resources.size} resources, and ${maxResources} is its limit. Unsubscribe from some, or raise maxResourcesPerSession in the static options of the class.`,
		);
	}
	if (resources.size === 0) return { info, resources: undefined };
	// Whatever was told of a session, it is known that something was.
	return { info: info ?? '{}', resources: [...resources].join(SEPARATOR) };
}

/** @throws `PAYLOAD_TOO_LARGE`, `INVALID_ARGUMENT` for what JSON cannot say */
export function withInfo(before: string | undefined, set: InfoInput): string {
	const known: unknown = before === undefined ? {} : JSON.parse(before);
	const entries = Object.entries({ ...Object(known), ...set });
	const told = entries.filter(([, value]) => value !== null && value !== undefined);
	return toStoredInfo(Object.fromEntries(told));
}
