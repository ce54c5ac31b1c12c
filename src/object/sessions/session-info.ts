import { SessionManagerError } from '../../errors.ts';
import type { InfoChange, InfoInput } from '../../wire/arguments.ts';
import { toStoredInfo } from '../../wire/session-info.ts';

/** What a session's client has told, and the resources that it is subscribed to. */
export interface Told {
	/** As JSON; `undefined` where nothing was ever told. */
	info: string | undefined;
	resources: ReadonlySet<string>;
}

/**
 * What is told of a session after some changes, one after another.
 * @throws `PAYLOAD_TOO_LARGE`, `TOO_MANY_RESOURCES`
 */
export function changed(before: Told, changes: readonly InfoChange[], maxResources: number): Told {
	let { info } = before;
	const resources = new Set(before.resources);
	for (const { forget, set, subscribe, unsubscribe } of changes) {
		if (forget) {
			info = undefined;
			resources.clear();
		}
		if (set) info = withInfo(info, set);
		if (subscribe !== undefined) resources.add(subscribe);
		if (unsubscribe !== undefined) resources.delete(unsubscribe);
	}
	const isMore = resources.size > before.resources.size;
	if (isMore && resources.size > maxResources) {
		throw new SessionManagerError(
			'TOO_MANY_RESOURCES',
			`the session would be subscribed to ${resources.size} resources, and ${maxResources} is its limit. Unsubscribe from some, or raise maxResourcesPerSession in the static options of the class.`,
		);
	}
	// Whatever was told of a session, it is known that something was.
	return { info: resources.size > 0 ? (info ?? '{}') : info, resources };
}

/** @throws `PAYLOAD_TOO_LARGE`, `INVALID_ARGUMENT` for what JSON cannot say */
export function withInfo(before: string | undefined, set: InfoInput): string {
	const known: unknown = before === undefined ? {} : JSON.parse(before);
	const entries = Object.entries({ ...Object(known), ...set });
	const told = entries.filter(([, value]) => value !== null && value !== undefined);
	return toStoredInfo(Object.fromEntries(told));
}
