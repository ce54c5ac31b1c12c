import { expect, it } from 'vitest';
import { regionOf } from '../../../src/worker/routing/placement.ts';

it.each([
	['San Francisco', { continent: 'NA', country: 'US', longitude: '-122.39' }, 'wnam'],
	['New York', { continent: 'NA', country: 'US', longitude: '-74.01' }, 'enam'],
	['somewhere in North America', { continent: 'NA', country: 'US' }, 'enam'],
	['São Paulo', { continent: 'SA', country: 'BR', longitude: '-46.63' }, 'sam'],
	['London', { continent: 'EU', country: 'GB', longitude: '-0.13' }, 'weur'],
	['Warsaw', { continent: 'EU', country: 'PL', longitude: '21.01' }, 'eeur'],
	['Lagos', { continent: 'AF', country: 'NG', longitude: '3.38' }, 'afr'],
	['Dubai', { continent: 'AS', country: 'AE', longitude: '55.27' }, 'me'],
	['Tokyo', { continent: 'AS', country: 'JP', longitude: '139.69' }, 'apac'],
	['Sydney', { continent: 'OC', country: 'AU', longitude: '151.21' }, 'oc'],
	['Antarctica', { continent: 'AN' }, undefined],
	['the Tor network', { country: 'T1' }, undefined],
	['a local run', undefined, undefined],
])('a request from %s is nearest to its region', (_, cf, region) => {
	expect(regionOf(cf)).toBe(region);
});
