import { hash } from './hash.ts';

/**
 * What the sessions and listen streams of one owner have in common, by which they are counted and found.
 * @param path of the gateway: it keeps servers apart
 */
export function accountOf(path: string | null, owner: string): Promise<string> {
	return hash(JSON.stringify([path, owner]));
}
