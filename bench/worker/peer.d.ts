/**
 * What is measured of `@tmcp/session-manager-durable-objects` 0.3.0. Its own types declare a module of that name, which
 * here is our own, so a `paths` entry leads to these instead.
 */
import { DurableObject } from 'cloudflare:workers';
import type { InfoSessionManager } from '@tmcp/session-manager';
import type { Streams } from './streams.ts';

export class DurableObjectStreamSessionManager implements Streams {
	constructor(binding?: string);
	create(id: string, controller: ReadableStreamDefaultController<Uint8Array>): Promise<void>;
	delete(id: string): Promise<void>;
	has(id: string): Promise<boolean>;
	send(sessions: string[] | undefined, data: string): Promise<void>;
}

export const KVInfoSessionManager: new (binding?: string) => InfoSessionManager;

export class SyncLayer extends DurableObject {}
