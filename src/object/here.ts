import { isObserved } from '../diagnostics/channels.ts';
import { readTrace, runInTrace } from '../diagnostics/trace.ts';
import { labelOf } from '../wire/home.ts';

/** The `side` and the `home` of an event that the object publishes. */
export function here({ id }: DurableObjectState) {
	return { side: 'object', home: labelOf(id.name) } as const;
}

/** Do the work of a call whose events have the trace context that came with it. */
export function inTrace<T>(trace: unknown, work: () => T): T {
	return trace !== undefined && isObserved() ? runInTrace(readTrace(trace), work) : work();
}
