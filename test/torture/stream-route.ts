/** `/torture`: a stream, resumed where `Last-Event-ID` says. Runs in the Worker under test. */
import { env } from 'cloudflare:workers';
import {
	DurableObjectStreamSessionManager,
	SessionHomes,
	SYNC_LAYER_NAME,
} from '../../src/index.ts';
import { runInScope } from '../../src/worker/request/request-scope.ts';
import { callObject } from '../../src/worker/routing/object.ts';

/** How often a stream may have missed something, by run. */
export const gapsIn = new Map<string, number>();

/** The name of a run's object in the place of the usual one. */
export function objectOf(run: string, name: string): string {
	return run + name.slice(SYNC_LAYER_NAME.length);
}

/** The homes of a run, for a Worker that begins sessions in so many. */
export function homesOf(run: string, homes: number): SessionHomes {
	const namespace = env.TMCP_DURABLE_OBJECT;
	const ofRun = new Proxy(namespace, {
		get: (target, property) =>
			property === 'getByName'
				? (name: string) => namespace.getByName(objectOf(run, name))
				: (Reflect.get(target, property) as unknown),
	});
	return new SessionHomes(ofRun, { homes });
}

interface Instance {
	homes: SessionHomes;
	streams: DurableObjectStreamSessionManager;
}

/** By run, instance and its number of homes: each stands for a Worker instance, which knows its own streams only. */
const instances = new Map<string, Instance>();

function instanceOf(run: string, name: string, count: number): Instance {
	const key = JSON.stringify([run, name, count]);
	const known = instances.get(key);
	if (known) return known;
	const homes = homesOf(run, count);
	const streams = new DurableObjectStreamSessionManager(homes, {
		onGap: () => gapsIn.set(run, (gapsIn.get(run) ?? 0) + 1),
	});
	const instance = { homes, streams };
	instances.set(key, instance);
	return instance;
}

const registered = new Set<string>();

/** Registered the first time, as a gateway does. */
async function ownerOf(run: string, session: string, { homes }: Instance): Promise<string> {
	const owner = 'o'.repeat(43);
	const key = `${run} ${session}`;
	while (!registered.has(key)) {
		// The object may go away at any moment.
		const isDone = await callObject(homes.toBegin(session), (stub) =>
			stub.begin(session, owner),
		).then(
			() => true,
			() => false,
		);
		if (isDone) registered.add(key);
	}
	return owner;
}

export async function tortureStream(request: Request): Promise<Response> {
	const { searchParams } = new URL(request.url);
	const [run = '', name = '', homes = '', session = ''] = [
		'run',
		'instance',
		'homes',
		'session',
	].map((of) => searchParams.get(of) ?? '');
	const instance = instanceOf(run, name, Number(homes));
	const { streams } = instance;
	const lastEventId = request.headers.get('last-event-id') ?? undefined;
	const ownerHash = await ownerOf(run, session, instance);
	const body = await runInScope(
		{ account: undefined, ownerHash, lastEventId, takesOver: true, primingEvent: 'data: \n\n' },
		async () =>
			new ReadableStream<Uint8Array>({
				start: (controller) => streams.create(session, controller),
				cancel: () => streams.delete(session),
			}),
	);
	return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}
