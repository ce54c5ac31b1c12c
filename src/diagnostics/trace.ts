import { nodeModule } from './node.ts';

/** W3C trace context, as OpenTelemetry propagates it: https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
	/** Version, trace id, id of the caller's span, and flags, for example `00-4bf9…4736-00f0…02b7-01`. */
	traceparent: string;
	/** What tracing systems add to it, at most 512 characters. */
	tracestate?: string;
}

/** A version that is not `ff`, and ids that are not all zeros. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

/** Longest `tracestate` that everybody passes on, in characters: https://www.w3.org/TR/trace-context/#tracestate-limits */
const MAX_TRACESTATE_CHARS = 512;
const TRACESTATE = new RegExp(`^[\\x20-\\x7e]{1,${MAX_TRACESTATE_CHARS}}$`);

/**
 * @param of an object with `traceparent` and `tracestate`
 * @returns `undefined` where the first is missing or not valid: a client's telemetry never fails a request
 */
export function readTrace(of: unknown): TraceContext | undefined {
	const traceparent: unknown = Reflect.get(Object(of), 'traceparent');
	const tracestate: unknown = Reflect.get(Object(of), 'tracestate');
	if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return undefined;
	const isState = typeof tracestate === 'string' && TRACESTATE.test(tracestate);
	return isState ? { traceparent, tracestate } : { traceparent };
}

/**
 * Where a message of MCP has its trace context: https://modelcontextprotocol.io/seps/414-request-meta
 * @param message the parsed body of a POST
 */
export function traceOfMessage(message: unknown): TraceContext | undefined {
	const params: unknown = Reflect.get(Object(message), 'params');
	return readTrace(Reflect.get(Object(params), '_meta'));
}

/** Of a request without a message, for example a GET. */
export function traceOfHeaders(headers: Headers): TraceContext | undefined {
	const [traceparent, tracestate] = [headers.get('traceparent'), headers.get('tracestate')];
	return readTrace({ traceparent, tracestate });
}

/** `null` where the runtime has none. */
let storage: InstanceType<typeof import('node:async_hooks').AsyncLocalStorage<TraceContext>> | null;

/** Run work whose events have this trace context, in the object too. */
export function runInTrace<T>(trace: TraceContext | undefined, work: () => T): T {
	if (!trace) return work();
	if (storage === undefined) {
		const hooks = nodeModule('node:async_hooks');
		storage = hooks ? new hooks.AsyncLocalStorage<TraceContext>() : null;
	}
	return storage ? storage.run(trace, work) : work();
}

/** Of the running work. */
export function currentTrace(): TraceContext | undefined {
	return storage?.getStore();
}

/** The trace as the last argument of a call of the object; no argument where there is no trace. */
export function traceArgument(): [] | [TraceContext] {
	const trace = currentTrace();
	return trace ? [trace] : [];
}
