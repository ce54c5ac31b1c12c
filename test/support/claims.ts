import type { AttachOptions } from '../../src/advanced.ts';
import type { SyncLayer } from '../../src/index.ts';
import { KEY_HEADER, UPGRADE_URL } from '../../src/wire/upgrade.ts';

/** The key of an object. */
export async function keyOf(object: DurableObjectStub<SyncLayer>): Promise<string> {
	const { upgradeKey } = await object.attach('whoever', { withKey: true });
	return upgradeKey ?? '';
}

/** Open a stream with the key of its object: what the managers do, and whatever else is claimed. */
export function claim(
	object: DurableObjectStub<SyncLayer>,
	key: string,
	of: object,
): Promise<Response> {
	const headers = {
		upgrade: 'websocket',
		[KEY_HEADER]: `${key} ${encodeURIComponent(JSON.stringify(of))}`,
	};
	return object.fetch(UPGRADE_URL, { headers });
}

/** What an upgrade claims that brings the key of its object; nothing where it brings a ticket. */
export function claimOf([input, init]: Parameters<Fetcher['fetch']>): AttachOptions {
	const [, text] = new Request(input, init).headers.get(KEY_HEADER)?.split(' ') ?? [];
	return text === undefined ? {} : JSON.parse(decodeURIComponent(text));
}
