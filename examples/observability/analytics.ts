import { type SessionEvent, subscribe } from '@tmcp/session-manager-durable-objects/diagnostics';
import { env } from 'cloudflare:workers';
import { respond } from './server.ts';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

/** What is counted of an event, beside the event itself. */
const NUMBERS = ['delivered', 'waiting', 'missed', 'messages', 'bytes', 'durationMs'] as const;

/** What an event says in a word. */
const WORDS = ['stream', 'audience', 'outcome', 'reason', 'of', 'code'] as const;

/** At module scope: it hears the Worker and, where they share an isolate, the object. */
subscribe((event: SessionEvent) => {
	const field = (name: string): unknown => Reflect.get(event, name);
	const word = WORDS.map(field).find((value) => typeof value === 'string');
	env.EVENTS.writeDataPoint({
		// What is sampled together: https://developers.cloudflare.com/analytics/analytics-engine/sampling/
		indexes: [event.name],
		blobs: [event.name, event.side, event.home ?? '', event.session ?? '', String(word ?? '')],
		doubles: NUMBERS.map((name) => Number(field(name) ?? 0)),
	});
});

export default { fetch: respond } satisfies ExportedHandler;
