import type { Region } from '../../wire/home.ts';

/** Of the countries of Asia by Cloudflare's continents, those of the Middle East. */
const MIDDLE_EAST = new Set('AE BH IL IQ IR JO KW LB OM PS QA SA SY TR YE'.split(' '));

/** East of it, in degrees, Europe is Eastern Europe. */
const EASTERN_EUROPE = 15;

/** West of it, in degrees, North America is its west. */
const WESTERN_AMERICA = -100;

/**
 * The region that is nearest to where a request came from.
 * @param cf `request.cf`: its `continent`, `country` and `longitude` are read
 * (https://developers.cloudflare.com/workers/runtime-apis/request/#incomingrequestcfproperties)
 * @returns `undefined` where that is not known
 */
export function regionOf(cf: unknown): Region | undefined {
	const of = (name: string): unknown => Reflect.get(Object(cf), name);
	const degrees = Number.parseFloat(String(of('longitude')));
	switch (of('continent')) {
		case 'NA':
			return degrees < WESTERN_AMERICA ? 'wnam' : 'enam';
		case 'SA':
			return 'sam';
		case 'EU':
			return degrees > EASTERN_EUROPE ? 'eeur' : 'weur';
		case 'AF':
			return 'afr';
		case 'AS':
			return MIDDLE_EAST.has(String(of('country'))) ? 'me' : 'apac';
		case 'OC':
			return 'oc';
		default:
			return undefined;
	}
}
