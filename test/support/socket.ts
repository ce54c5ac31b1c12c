import { decodeFrame, openSocket } from '../../src/advanced.ts';
import type { SyncLayer } from '../../src/index.ts';

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
		const attached = await object.attach(sessionId);
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
		const options = { lastEventId, window, connectionId };
		return new Wire(await openSocket(object, await object.attach(sessionId, options)));
	}
}
