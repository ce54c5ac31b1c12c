/** `/torture`: a stream, resumed where `Last-Event-ID` says. Runs in the Worker under test. */
import { env } from 'cloudflare:workers';
import { DurableObjectStreamSessionManager } from '../../src/index.ts';
import { runInScope } from '../../src/worker/request/request-scope.ts';

/** How often a stream may have missed something, by object. */
export const gapsIn = new Map<string, number>();

/** The namespace, with one object of another name than usual. */
export function namespaceOf(object: string): typeof env.TMCP_DURABLE_OBJECT {
	const namespace = env.TMCP_DURABLE_OBJECT;
	return new Proxy(namespace, {
		get: (target, name) =>
			name === 'getByName'
				? () => namespace.getByName(object)
				: (Reflect.get(target, name) as unknown),
	});
}

/** By object and instance: each stands for a Worker instance, which knows its own streams only. */
const managers = new Map<string, DurableObjectStreamSessionManager>();

function managerOf(object: string, instance: string): DurableObjectStreamSessionManager {
	const key = `${object} ${instance}`;
	const manager =
		managers.get(key) ??
		new DurableObjectStreamSessionManager(namespaceOf(object), {
			onGap: () => gapsIn.set(object, (gapsIn.get(object) ?? 0) + 1),
		});
	managers.set(key, manager);
	return manager;
}

const registered = new Set<string>();

/** Registered the first time, as a gateway does. */
async function ownerOf(object: string, session: string): Promise<string> {
	const owner = 'o'.repeat(43);
	const key = `${object} ${session}`;
	while (!registered.has(key)) {
		// The object may go away at any moment.
		const isDone = await namespaceOf(object)
			.getByName(object)
			.begin(session, owner)
			.then(
				() => true,
				() => false,
			);
		if (isDone) registered.add(key);
	}
	return owner;
}

export async function tortureStream(request: Request): Promise<Response> {
	const { searchParams } = new URL(request.url);
	const [object = '', instance = '', session = ''] = ['object', 'instance', 'session'].map(
		(name) => searchParams.get(name) ?? '',
	);
	const manager = managerOf(object, instance);
	const lastEventId = request.headers.get('last-event-id') ?? undefined;
	const ownerHash = await ownerOf(object, session);
	const body = await runInScope(
		{ account: undefined, ownerHash, lastEventId, takesOver: true, primingEvent: 'data: \n\n' },
		async () =>
			new ReadableStream<Uint8Array>({
				start: (controller) => manager.create(session, controller),
				cancel: () => manager.delete(session),
			}),
	);
	return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}
