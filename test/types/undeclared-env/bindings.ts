/** Where nobody declared `Cloudflare.Env`, any name compiles, and only at run time is it looked up. */
import {
	DurableObjectStreamSessionManager,
	KVInfoSessionManager,
} from '@tmcp/session-manager-durable-objects';

export const streams = new DurableObjectStreamSessionManager('ANY_NAME', { keepAlive: 10_000 });
export const info = new KVInfoSessionManager('ANY_OTHER_NAME', { ttl: 60 });
// @ts-expect-error a number is no name
export const wrong = new KVInfoSessionManager(1);
