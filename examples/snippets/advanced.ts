import { type SyncLayer, SYNC_LAYER_NAME } from '@tmcp/session-manager-durable-objects';
import { decodeFrame, openSocket } from '@tmcp/session-manager-durable-objects/advanced';

interface Env {
	TMCP_DURABLE_OBJECT: DurableObjectNamespace<SyncLayer>;
}

/** Holds the stream of a session, and logs what is sent to it, as long as the request lives. */
export async function follow(env: Env, sessionId: string): Promise<void> {
	const object = env.TMCP_DURABLE_OBJECT.getByName(SYNC_LAYER_NAME);
	const socket = await openSocket(object, await object.attach(sessionId));
	socket.addEventListener('message', ({ data }) => console.log(decodeFrame(data)?.data));
	socket.accept();
}
