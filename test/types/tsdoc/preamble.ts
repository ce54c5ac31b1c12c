/** What the examples in TSDoc comments take for granted: `test/docs/tsdoc.ts` imports all of it into each of them. */
import type { HttpTransport } from '@tmcp/transport-http';
import type {
	DurableObjectSessions,
	KVInfoSessionManager,
	SessionGateway,
	SyncLayer,
} from '@tmcp/session-manager-durable-objects';
import type { McpServer } from 'tmcp';

export * from '@tmcp/session-manager-durable-objects';
export * from '@tmcp/session-manager-durable-objects/advanced';
export * from '@tmcp/session-manager-durable-objects/check';
export * from '@tmcp/session-manager-durable-objects/client';
export * from '@tmcp/session-manager-durable-objects/diagnostics';
export * from '@tmcp/session-manager-durable-objects/inspector';
export { gap } from '../../../src/diagnostics/channels.ts';

export { HttpTransport } from '@tmcp/transport-http';
export { env } from 'cloudflare:workers';
export { expect } from 'vitest';

declare global {
	namespace Cloudflare {
		interface Env {
			TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
			TMCP_SESSION_INFO: KVNamespace;
		}
	}
}

/** Of the server. */
export declare const server: McpServer<undefined>;
export declare const transport: HttpTransport;
export declare const sessions: DurableObjectSessions;
export declare const gateway: SessionGateway;
export declare const info: KVInfoSessionManager;

/** Of a request. */
export declare const request: Request;
export declare const sessionId: string;
export declare function userOf(request: Request): string | undefined;
export declare function isOperator(request: Request): Promise<boolean>;
export declare function notFound(): Response;
export declare function badRequest(): Response;
