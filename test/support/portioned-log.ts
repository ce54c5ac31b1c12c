import { env } from 'cloudflare:workers';
import type {
	Attached,
	AttachOptions,
	DetachOptions,
	SyncLayerNamespace,
} from '../../src/advanced.ts';
import { CloseCode } from '../../src/wire/close-codes.ts';
import { encodeFrame } from '../../src/wire/frames.ts';
import { LOG_HEADER, TICKET_HEADER } from '../../src/wire/upgrade.ts';

const PREFIX = '0.abcdefgh.';

/**
 * A stand-in for the object, of one session: an event log that is replayed in portions of at most the window that the
 * Worker named. It shows what the Worker asked of it.
 */
export class PortionedLog {
	readonly attached: AttachOptions[] = [];
	readonly detached: DetachOptions[] = [];
	readonly closed: { code: number; reason: string }[] = [];
	/** Refuses streams that come back: the call, or the upgrade. */
	refuses: 'attach' | 'upgrade' | undefined;
	#events: string[] = [];
	#live: WebSocket | undefined;
	#claims = new Map<string, AttachOptions>();

	/** Whether a socket is open that gets what is sent now. */
	get isLive(): boolean {
		return this.#live !== undefined;
	}

	send(data: string): void {
		this.#events.push(data);
		this.#live?.send(encodeFrame({ seq: this.#events.length, data }));
	}

	get namespace(): SyncLayerNamespace {
		const stub = {
			attach: async (_: string, options: AttachOptions) => this.#attach(options),
			detach: async (_: string, options: DetachOptions) => {
				this.detached.push(options);
				return true;
			},
			fetch: async (_: string, { headers }: { headers: Record<string, string> }) =>
				this.#upgrade(headers[TICKET_HEADER] ?? ''),
		};
		return new Proxy(env.TMCP_DURABLE_OBJECT, {
			get: (target, name) => (name === 'getByName' ? () => stub : Reflect.get(target, name)),
		});
	}

	#attach(options: AttachOptions): Partial<Attached> {
		this.attached.push(options);
		if (options.resume && this.refuses === 'attach') {
			throw new Error('STREAM_SUPERSEDED: a newer stream took over.');
		}
		this.#claims.set(options.ticket ?? '', options);
		return {};
	}

	async #upgrade(ticket: string): Promise<Response> {
		// It leaves together with the call that makes its ticket.
		await scheduler.wait(1);
		const claim = this.#claims.get(ticket);
		if (!claim || (claim.resume && this.refuses === 'upgrade')) {
			return Response.json({ code: 'STREAM_SUPERSEDED', message: 'newer' }, { status: 409 });
		}
		const after = Number(claim.lastEventId?.slice(PREFIX.length) ?? 0);
		const { 0: workerEnd, 1: objectEnd } = new WebSocketPair();
		objectEnd.accept();
		objectEnd.addEventListener('close', ({ code, reason }) => {
			this.closed.push({ code, reason });
			if (this.#live === objectEnd) this.#live = undefined;
			objectEnd.close();
		});
		this.#replay(objectEnd, after, claim.window ?? Infinity);
		const log = { eventIdPrefix: PREFIX, after, recovered: true };
		const headers = { [LOG_HEADER]: JSON.stringify(log) };
		return new Response(null, { status: 101, webSocket: workerEnd, headers });
	}

	#replay(socket: WebSocket, after: number, window: number): void {
		let room = window;
		for (const [index, data] of this.#events.entries()) {
			if (index < after) continue;
			if (room < window && data.length > room) {
				socket.close(CloseCode.windowFull, 'there is more');
				return;
			}
			socket.send(encodeFrame({ seq: index + 1, data }));
			room -= data.length;
		}
		socket.send(encodeFrame({ seq: this.#events.length, data: '' }));
		this.#live = socket;
	}
}
