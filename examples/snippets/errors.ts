import { SessionManagerError, type SyncLayer } from '@tmcp/session-manager-durable-objects';

export async function hasStream(
	object: DurableObjectStub<SyncLayer>,
	id: string,
): Promise<Response> {
	// #region catch
	try {
		return Response.json(await object.has(id));
	} catch (error) {
		// `from` restores an error that crossed Workers RPC, which takes its class from it.
		if (SessionManagerError.from(error)?.code === 'INVALID_SESSION_ID') {
			return new Response('No session id', { status: 400 });
		}
		throw error;
	}
	// #endregion catch
}
