import type { Compatibility } from '../../examples/quickstart/demo/compatibility.ts';

/** What `HttpTransport` needs, and what is on by itself from 2026-08-04 on. */
const NODE = ['nodejs_compat'];

/** What workerd knows and has switched off at its newest date. A later date switches it on, but for the first. */
const FLAGS_TO_COME = [
	// Without a date in workerd 1.20261102.
	'enable_request_signal',
	// 2026-11-17.
	'pipe_to_backward_propagation',
	'cache_option_preserves_cache_control',
	// 2026-12-01.
	'temporal',
	'wasm_source_url_support',
	// 2027-04-30 and 2028-04-30.
	'remove_nodejs_compat_eol_v22',
	'remove_nodejs_compat_eol_v24',
];

/** The newest date that the installed workerd takes. */
const NEWEST_DATE = '2026-11-09';

export const OLDEST: Compatibility = { date: '2025-06-01', flags: NODE };
export const NEWEST: Compatibility = { date: NEWEST_DATE, flags: FLAGS_TO_COME };

/** Where the end-to-end tests have to pass, oldest first. `npm run dates` runs all of them everywhere. */
export const PLATFORMS: readonly Compatibility[] = [
	OLDEST,
	{ date: '2026-04-07', flags: NODE },
	{ date: '2026-08-01', flags: NODE },
	{ date: NEWEST_DATE, flags: [] },
	NEWEST,
];
