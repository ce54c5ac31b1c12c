import type { AttachOptions } from '../../src/advanced.ts';
import { CLAIM_HEADER } from '../../src/wire/upgrade.ts';

/** What an upgrade claims that brings the key of its object; nothing where it brings a ticket. */
export function claimOf([input, init]: Parameters<Fetcher['fetch']>): AttachOptions {
	const claim = new Request(input, init).headers.get(CLAIM_HEADER);
	return claim === null ? {} : JSON.parse(decodeURIComponent(claim));
}
