import { SYNC_LAYER_NAME } from './names.ts';

/** Where a home may be placed: https://developers.cloudflare.com/durable-objects/reference/data-location/#provide-a-location-hint */
export const REGIONS = [
	'wnam',
	'enam',
	'sam',
	'weur',
	'eeur',
	'apac',
	'apac-ne',
	'apac-se',
	'oc',
	'afr',
	'me',
] as const;

export type Region = (typeof REGIONS)[number];

/** Most homes, in each region. An event id has room for so many. */
export const MAX_HOMES = 1_000;

/** One of the objects that share the sessions: its number, and its region where it was placed in one. */
interface HomePlace {
	index: number;
	region: Region | undefined;
}

/**
 * For how long something may begin in a home after it was registered in the first one, in milliseconds. After that it is
 * registered again, so that the first one can forget homes that are no longer used.
 */
export const HOME_LEASE_MS = 600_000;

/** For how long something may still begin after that where the first home does not answer, in milliseconds. */
export const HOME_LEASE_GRACE_MS = 300_000;

/** The home that is always there: it knows the others, and has the name that the only object had before there were many. */
export const FIRST_HOME = '0';

const PATTERN = /^(?:([a-z]+(?:-[a-z]+)?)-)?(0|[1-9]\d{0,2})$/;

/** `3`, or `weur-3`: how session ids name it. */
export function formatHome({ index, region }: HomePlace): string {
	return region === undefined ? String(index) : `${region}-${index}`;
}

/** @returns `undefined` for what names no home */
export function parseHome(label: string): HomePlace | undefined {
	const [, hint, index] = PATTERN.exec(label) ?? [];
	if (index === undefined) return undefined;
	const region = REGIONS.find((known) => known === hint);
	return hint === region ? { index: Number(index), region } : undefined;
}

/** What the names of all homes but the first begin with. */
const PREFIX = `${SYNC_LAYER_NAME}/`;

/** The name of a home's object. */
export function objectNameOf(label: string): string {
	return label === FIRST_HOME ? SYNC_LAYER_NAME : PREFIX + label;
}

/** The label of the home that an object is, or the name that it has of its own. */
export function labelOf(objectName: string | undefined): string | undefined {
	if (objectName === SYNC_LAYER_NAME) return FIRST_HOME;
	return objectName?.startsWith(PREFIX) ? objectName.slice(PREFIX.length) : objectName;
}

/** The number that event ids of an object begin with. One with a name of its own counts as the first home. */
export function shardOf(objectName: string | undefined): number {
	const home = objectName?.startsWith(PREFIX) && parseHome(objectName.slice(PREFIX.length));
	if (!home) return 0;
	const region = home.region === undefined ? 0 : REGIONS.indexOf(home.region) + 1;
	return region * MAX_HOMES + home.index;
}
