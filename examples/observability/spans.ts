import { type SessionEvent, subscribe } from '@tmcp/session-manager-durable-objects/diagnostics';
import { env, waitUntil } from 'cloudflare:workers';
import { respond } from './server.ts';

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

/** How long spans are collected before they are sent, in milliseconds. */
const COLLECT_MS = 100;

const collected: object[] = [];
let sendAt = 0;

/** At module scope: it hears the Worker and, where they share an isolate, the object. */
subscribe((event) => {
	collected.push(spanOf(event));
	// By the clock, and not by whether somebody is about to send: that request may be cut off.
	const now = Date.now();
	if (now < sendAt) return;
	sendAt = now + COLLECT_MS;
	waitUntil(send());
});

async function send(): Promise<void> {
	await scheduler.wait(COLLECT_MS);
	const spans = collected.splice(0);
	if (spans.length === 0) return;
	const resource = { attributes: attributesOf({ 'service.name': 'observed' }) };
	const scope = { name: '@tmcp/session-manager-durable-objects' };
	await fetch(`${env.OTLP_ENDPOINT}/v1/traces`, {
		method: 'POST',
		headers: { 'content-type': 'application/json' },
		body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] }),
	});
}

/** A span of OTLP: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
function spanOf({ name, at, trace, ...event }: SessionEvent): object {
	// In the client's trace, below the span from which it sent its request; or in a trace of its own.
	const [, traceId = hex(16), parentSpanId] = trace?.traceparent.split('-') ?? [];
	const durationMs = 'durationMs' in event ? event.durationMs : 0;
	return {
		traceId,
		spanId: hex(8),
		parentSpanId,
		traceState: trace?.tracestate,
		name: `tmcp ${name}`,
		kind: SPAN_KIND_INTERNAL,
		startTimeUnixNano: nanoseconds(at - durationMs),
		endTimeUnixNano: nanoseconds(at),
		attributes: attributesOf(event, 'tmcp.'),
		status: name === 'error' ? { code: STATUS_CODE_ERROR } : {},
	};
}

const SPAN_KIND_INTERNAL = 1;
const STATUS_CODE_ERROR = 2;

function attributesOf(values: object, prefix = ''): object[] {
	return Object.entries(values).flatMap(([key, value]: [string, unknown]) => {
		const written = valueOf(value);
		return written ? [{ key: prefix + key, value: written }] : [];
	});
}

function valueOf(value: unknown): object | undefined {
	if (typeof value === 'string') return { stringValue: value };
	if (typeof value === 'boolean') return { boolValue: value };
	return typeof value === 'number' ? { doubleValue: value } : undefined;
}

function hex(bytes: number): string {
	const random = crypto.getRandomValues(new Uint8Array(bytes));
	return [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function nanoseconds(ms: number): string {
	return `${Math.round(ms)}000000`;
}

export default { fetch: respond } satisfies ExportedHandler;
