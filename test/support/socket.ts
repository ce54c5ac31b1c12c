import { runInDurableObject } from 'cloudflare:test';
import { decodeFrame, openSocket } from '../../src/advanced.ts';
import type { SyncLayer } from '../../src/index.ts';

/** What a {@link CostMeter} does not count, because a test asks it. */
export const BY_A_TEST = '/* by a test */';

/** As the option of `attach`: whose session it is, because nobody else opens a stream of it. */
export async function ownerOf(
	object: DurableObjectStub<SyncLayer>,
	sessionId: string,
): Promise<{ owner?: string }> {
	return runInDurableObject(object, (_, { storage }) => {
		try {
			const [row] = storage.sql
				.exec<{ owner: string | null }>(
					`${BY_A_TEST} SELECT owner FROM tmcp_sessions WHERE session_id = ? AND state <> 'ended'`,
					sessionId,
				)
				.toArray();
			return row?.owner ? { owner: row.owner } : {};
		} catch {
			// A class without SQLite.
			return {};
		}
	});
}

/** A Worker's end of a stream, as `openSocket` gives it, and what came on it. */
export class Wire {
	readonly received: string[] = [];
	readonly closed: Promise<{ code: number; reason: string }>;
	readonly socket: WebSocket;

	private constructor(socket: WebSocket) {
		this.socket = socket;
		socket.addEventListener('message', ({ data }) => {
			const frame = decodeFrame(data);
			// A frame without data is a place.
			if (frame?.data) this.received.push(frame.data);
		});
		this.closed = new Promise((resolve) => {
			socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }));
		});
		socket.accept();
	}

	/** A stream of a session whose client has shown an event id: nothing is handed over once more. */
	static async openAgain(object: DurableObjectStub<SyncLayer>, sessionId: string): Promise<Wire> {
		const attached = await object.attach(sessionId, await ownerOf(object, sessionId));
		const first = new Wire(await openSocket(object, attached));
		const { log } = attached;
		const again = await Wire.open(object, sessionId, log && `${log.eventIdPrefix}${log.after}`);
		await first.closed;
		return again;
	}

	static async open(
		object: DurableObjectStub<SyncLayer>,
		sessionId: string,
		lastEventId?: string,
		window?: number,
		connectionId?: string,
	): Promise<Wire> {
		const options = { lastEventId, window, connectionId, ...(await ownerOf(object, sessionId)) };
		return new Wire(await openSocket(object, await object.attach(sessionId, options)));
	}
}
