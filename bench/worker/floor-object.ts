import { DurableObject } from 'cloudflare:workers';
import type { Floor } from './floor-streams.ts';
import { noteStart } from './starts.ts';

/** Hibernating sockets that are found by tag, and nothing more. */
export class FloorObject extends DurableObject implements Floor {
	constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
		super(ctx, env);
		noteStart();
	}

	override fetch(request: Request): Response {
		return this.accept(new URL(request.url).searchParams.get('session_id') ?? '');
	}

	claim(_id: string): void {}

	end(id: string): void {
		for (const socket of this.ctx.getWebSockets(id)) socket.close();
	}

	has(id: string): boolean {
		return this.ctx.getWebSockets(id).length > 0;
	}

	broadcast(sessions: string[] | undefined, data: string): void {
		if (sessions === undefined) {
			for (const socket of this.ctx.getWebSockets()) socket.send(data);
			return;
		}
		for (const id of sessions) {
			for (const socket of this.ctx.getWebSockets(id)) socket.send(data);
		}
	}

	protected accept(id: string): Response {
		const { 0: client, 1: server } = new WebSocketPair();
		this.ctx.acceptWebSocket(server, [id]);
		return new Response(null, { status: 101, webSocket: client });
	}
}
