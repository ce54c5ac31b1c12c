/** The Worker under test. */
import { SessionManagerError, SyncLayer } from '../../../src/index.ts';
import { tortureStream } from '../../torture/stream-route.ts';
import { respondAsAsker } from './asking.ts';
import { respondBehindGateway } from './gateway.ts';
import { respondForLives } from './lives.ts';
import { http, slow, sse, takeoverStream } from './servers.ts';

export { SyncLayer };
export { SyncLayer as PeerSyncLayer } from 'peer';

/** An object that is soon full. */
export class SmallSyncLayer extends SyncLayer {
	static override readonly options = { maxSubscriptions: 3 };
}

/** An object that keeps little, and not for long. */
export class ShortLogSyncLayer extends SyncLayer {
	static override readonly options = { log: { maxCount: 3, maxAge: 1 } };
}

/** An object that forgets sessions as soon as events. */
export class ForgetfulSyncLayer extends SyncLayer {
	static override readonly options = { log: { maxCount: 3, maxAge: 1 }, sessionTtl: 1 };
}

/** An object that keeps nothing. */
export class NoLogSyncLayer extends SyncLayer {
	static override readonly options = { log: false as const };
}

/** An object that soon forgets a session which sends no request. */
export class ShortSessionsSyncLayer extends SyncLayer {
	static override readonly options = { sessionTtl: 1 };
}

/** An object that takes little of everything, and where a session that is never used soon expires. */
export class LimitedSyncLayer extends SyncLayer {
	static override readonly options = {
		maxSessions: 5,
		maxSessionsPerOwner: 2,
		maxSubscriptionsPerOwner: 2,
		maxResourcesPerSession: 3,
		unusedSessionTtl: 1,
	};
}

/** Of a class that was made with `new_classes`, as the existing package's README has it. */
export class LegacySyncLayer extends SyncLayer {}

export default {
	async fetch(request) {
		const { pathname } = new URL(request.url);
		if (pathname === '/takeover') return takeoverStream(request);
		if (pathname === '/torture') return tortureStream(request);
		try {
			const guarded =
				(await respondForLives(request)) ??
				(await respondBehindGateway(request)) ??
				(await respondAsAsker(request));
			if (guarded) return guarded;
			for (const transport of [http, slow, sse]) {
				const response = await transport.respond(request);
				if (response) return response;
			}
			return new Response('Not found', { status: 404 });
		} catch (error) {
			const { code, message } = SessionManagerError.from(error) ?? {};
			if (code !== 'INVALID_SESSION_ID') throw error;
			const body = { jsonrpc: '2.0', id: null, error: { code: -32600, message } };
			return Response.json(body, { status: 400 });
		}
	},
} satisfies ExportedHandler;
